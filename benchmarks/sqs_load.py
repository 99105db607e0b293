"""Clients of a queue over HTTP, in a process of their own: raw keep-alive sockets, AWS JSON 1.0, a closed loop.

`python -m benchmarks.sqs_load PORT send|receive CLIENTS COUNT BATCH` prints messages and seconds. `receive` takes by
BATCH and deletes what it got, until the queue is empty; `send` puts COUNT messages of 1 KB.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator

import uvloop

ACCOUNT = "000000000000"
QUEUE = "benchmark"
BODY = "x" * 1000


class Client:
    """One connection."""

    def __init__(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._port = port
        self._reader = reader
        self._writer = writer
        self._url = f"http://127.0.0.1:{port}/{ACCOUNT}/{QUEUE}"

    async def call(self, operation: str, **fields: object) -> dict[str, object]:
        """Raises RuntimeError for anything but 200."""
        body = json.dumps({"QueueUrl": self._url, **fields}).encode()
        self._writer.write(
            b"POST / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nX-Amz-Target: AmazonSQS.%b\r\n"
            b"Authorization: AWS4-HMAC-SHA256 Credential=%b/20261121/us-east-1/sqs/aws4_request, "
            b"SignedHeaders=host;x-amz-date, Signature=%b\r\nX-Amz-Date: 20261121T000000Z\r\n"
            b"Content-Type: application/x-amz-json-1.0\r\nContent-Length: %d\r\n\r\n%b"
            % (self._port, operation.encode(), ACCOUNT.encode(), b"0" * 64, len(body), body)
        )
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
        answer = await self._reader.readexactly(length)
        if not head.startswith(b"http/1.1 200"):
            raise RuntimeError(answer.decode())
        return dict(json.loads(answer)) if answer else {}


async def send(client: Client, numbers: Iterator[int], batch: int) -> int:
    sent = 0
    for _ in numbers:
        if batch == 1:
            await client.call("SendMessage", MessageBody=BODY)
        else:
            entries = [{"Id": str(at), "MessageBody": BODY} for at in range(batch)]
            await client.call("SendMessageBatch", Entries=entries)
        sent += batch
    return sent


async def receive(client: Client, batch: int) -> int:
    done = 0
    while True:
        answer = await client.call("ReceiveMessage", MaxNumberOfMessages=batch, WaitTimeSeconds=0)
        messages = answer.get("Messages")
        if not isinstance(messages, list):
            return done
        if len(messages) == 1:
            await client.call("DeleteMessage", ReceiptHandle=messages[0]["ReceiptHandle"])
        else:
            entries = [{"Id": str(at), "ReceiptHandle": each["ReceiptHandle"]} for at, each in enumerate(messages)]
            await client.call("DeleteMessageBatch", Entries=entries)
        done += len(messages)


async def main(port: int, mode: str, clients: int, count: int, batch: int) -> None:
    made = [Client(port, *(await asyncio.open_connection("127.0.0.1", port))) for _ in range(clients)]
    numbers = iter(range(count // batch))
    begun = time.perf_counter()
    if mode == "send":
        done = await asyncio.gather(*(send(client, numbers, batch) for client in made))
    else:
        done = await asyncio.gather(*(receive(client, batch) for client in made))
    print(json.dumps({"messages": sum(done), "seconds": time.perf_counter() - begun}))


if __name__ == "__main__":
    uvloop.install()
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:6])))
