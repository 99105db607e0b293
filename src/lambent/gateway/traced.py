"""Calls for a neighbour that keeps no trace header: messages for SQS carry it on as AWSTraceHeader, as on AWS.

Only what comes from inside functions has a Lineage, and only that is worth it: without it a message would begin a new
chain, and a loop through its queue would never be seen. SNS and S3 have no place for it.
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from lambent.gateway.http import HttpRequest

HEADER: Final = "x-amzn-trace-id"
_SENDS: Final = frozenset({"AmazonSQS.SendMessage", "AmazonSQS.SendMessageBatch"})
"""In the protocol that SDKs have spoken since 2023."""


def traced(request: HttpRequest) -> HttpRequest:
    """The request for the neighbour. What cannot be read goes as it is: the neighbour says what is wrong with it."""
    header = request.headers.get(HEADER, "")
    if "Lineage=" not in header or request.headers.get("x-amz-target") not in _SENDS:
        return request
    try:
        sent = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        return request
    if not isinstance(sent, dict):
        return request
    batch = sent.get("Entries")
    for message in batch if isinstance(batch, list) else [sent]:
        if isinstance(message, dict):
            _put(message, header)
    body = orjson.dumps(sent)
    headers: Mapping[str, str] = {**request.headers, "content-length": str(len(body))}
    return request._replace(headers=headers, body=body)


def _put(message: dict[str, Any], header: str) -> None:
    """What the sender has set itself stays."""
    attributes = message.setdefault("MessageSystemAttributes", {})
    if isinstance(attributes, dict):
        attributes.setdefault("AWSTraceHeader", {"DataType": "String", "StringValue": header})
