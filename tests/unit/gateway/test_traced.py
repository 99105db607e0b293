"""What a function sends to a queue of a neighbour carries its chain on."""

from typing import Any

import orjson
import pytest

from lambent.gateway.http import HttpRequest
from lambent.gateway.traced import traced

HEADER = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0;Lineage=1:0000aa00:3"
TOLD = {"AWSTraceHeader": {"DataType": "String", "StringValue": HEADER}}
OWN = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-0-0"}}


def request(body: bytes, target: str = "AmazonSQS.SendMessage", trace: str = HEADER) -> HttpRequest:
    headers = {"x-amz-target": target, "x-amzn-trace-id": trace, "content-length": str(len(body))}
    return HttpRequest("POST", "/", "", headers, body, "http://localhost")


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"MessageBody": "a"}, {"MessageBody": "a", "MessageSystemAttributes": TOLD}),
        ({"MessageBody": "a", "MessageSystemAttributes": OWN}, {"MessageBody": "a", "MessageSystemAttributes": OWN}),
        ({"MessageBody": "a", "MessageSystemAttributes": 7}, {"MessageBody": "a", "MessageSystemAttributes": 7}),
        ({"Entries": [{"Id": "1"}, 2]}, {"Entries": [{"Id": "1", "MessageSystemAttributes": TOLD}, 2]}),
    ],
)
def test_a_message_gets_the_header_unless_it_has_one(sent: Any, expected: Any) -> None:
    target = "AmazonSQS.SendMessageBatch" if "Entries" in sent else "AmazonSQS.SendMessage"
    passed = traced(request(orjson.dumps(sent), target))
    assert orjson.loads(passed.body) == expected
    assert passed.headers["content-length"] == str(len(passed.body))


@pytest.mark.parametrize(
    "untouched",
    [
        request(b"{}", "AmazonSQS.ReceiveMessage"),
        request(b"{}", trace="Root=1-5759e988-bd862e3fe1be46a994272793"),
        request(b"not json"),
        request(b"[1]"),
        request(b""),
    ],
)
def test_everything_else_goes_as_it_is(untouched: HttpRequest) -> None:
    assert traced(untouched) is untouched
