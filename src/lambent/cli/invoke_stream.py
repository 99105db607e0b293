"""`lambent invoke --stream`: print what a function writes while it still writes."""

import base64
import json
import sys
from typing import IO

from lambent.aws.eventstream import Corrupt, Decoder
from lambent.cli.client import Client
from lambent.cli.failure import UNREACHABLE, Failure


def print_stream(client: Client, function: str, query: dict[str, str] | None, body: bytes, *, log: bool) -> bool:
    """Whether the function succeeded. `function` is already percent-encoded.

    Chunks go to stdout as they come and as they are, error and log to stderr. Raises `Failure`."""
    headers = {"content-type": "application/json", "x-amz-log-type": "Tail" if log else "None"}
    path = f"/2021-11-15/functions/{function}/response-streaming-invocations"
    decoder = Decoder()
    with client.stream("POST", path, query, body, headers) as pieces:
        for piece in pieces:
            try:
                for message in decoder.feed(piece):
                    kind = message.headers.get(":event-type")
                    if kind == "PayloadChunk":
                        _write(sys.stdout.buffer, message.payload)
                    elif kind == "InvokeComplete":
                        return _complete(json.loads(message.payload))
                    else:
                        said = message.headers.get(":error-message") or message.payload.decode("utf-8", "replace")
                        raise Failure(f"the server could not go on: {said}", UNREACHABLE)
            except Corrupt:
                raise Failure("the reply is no event stream", UNREACHABLE) from None
    raise Failure("the stream ended in the middle", UNREACHABLE)


def _write(out: IO[bytes], data: bytes) -> None:
    out.write(data)
    out.flush()


def _complete(end: dict[str, str]) -> bool:
    if log := end.get("LogResult"):
        _write(sys.stderr.buffer, base64.b64decode(log).replace(b"\r", b"\n"))
    if "ErrorCode" not in end:
        return True
    # What was printed so far may have no end of its own.
    text = f"\n{end.get('ErrorDetails', '')}\nlambent: the function failed ({end['ErrorCode']})\n"
    _write(sys.stderr.buffer, text.encode())
    return False
