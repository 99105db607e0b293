"""Queues of a running server: clients that hang up, and a kill."""

import json
import socket
from pathlib import Path
from typing import Any

from lambent.testing.running_server import Server

WAIT_S = 15


def waiting_receive(server: Server, url: str) -> socket.socket:
    """A long poll of which nobody has read the answer yet."""
    body = json.dumps({"QueueUrl": url, "WaitTimeSeconds": 20, "VisibilityTimeout": 600})
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=WAIT_S)
    connection.sendall(
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nX-Amz-Target: AmazonSQS.ReceiveMessage\r\n"
        b"Authorization: AWS4-HMAC-SHA256 Credential=000000000000/20261121/us-east-1/sqs/aws4_request, "
        b"SignedHeaders=host;x-amz-date, Signature=%b\r\nX-Amz-Date: 20261121T000000Z\r\n"
        b"Content-Type: application/x-amz-json-1.0\r\nContent-Length: %d\r\n\r\n%b"
        % (b"0" * 64, len(body), body.encode())
    )
    return connection


def until_waiting(sqs: Any, url: str) -> None:
    """A call that is answered after the server has read what was sent before it."""
    sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])


def test_a_client_that_hangs_up_takes_no_message_with_it(tmp_path: Path) -> None:
    with Server.start(tmp_path / "data", "--sandbox", "process") as server:
        sqs = server.client("sqs")
        url = sqs.create_queue(QueueName="q")["QueueUrl"]
        for _ in range(5):
            connection = waiting_receive(server, url)
            until_waiting(sqs, url)
            connection.close()
        with waiting_receive(server, url) as staying:
            until_waiting(sqs, url)
            sqs.send_message(QueueUrl=url, MessageBody="1")
            answer = b"".join(iter(lambda: staying.recv(65_536), b""))
        (message,) = json.loads(answer.partition(b"\r\n\r\n")[2])["Messages"]
        assert message["Body"] == "1"


def test_what_was_sent_and_what_is_hidden_outlive_a_kill(tmp_path: Path) -> None:
    with Server.start(tmp_path / "data", "--sandbox", "process") as server:
        sqs = server.client("sqs")
        url = sqs.create_queue(QueueName="q.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
        for number in range(4):
            sent = {"MessageBody": str(number), "MessageGroupId": "g", "MessageDeduplicationId": str(number)}
            sqs.send_message(QueueUrl=url, **sent)
        (first,) = sqs.receive_message(QueueUrl=url)["Messages"]
        sqs.delete_message(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
        (second,) = sqs.receive_message(QueueUrl=url, VisibilityTimeout=600)["Messages"]
        # Answered after its commit, and with it that it was received.
        sqs.send_message(QueueUrl=url, MessageBody="4", MessageGroupId="g", MessageDeduplicationId="4")
        server.kill()
    with Server.start(tmp_path / "data", "--sandbox", "process") as server:
        sqs = server.client("sqs")
        url = sqs.get_queue_url(QueueName="q.fifo")["QueueUrl"]
        assert "Messages" not in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
        sqs.delete_message(QueueUrl=url, ReceiptHandle=second["ReceiptHandle"])
        left = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
        assert [message["Body"] for message in left] == ["2", "3", "4"]
