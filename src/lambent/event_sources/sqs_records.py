"""A message of SQS as a record of the event. Pure; the only place that knows both shapes.

Source: spec of SQS events; names and order are those that functions have seen on AWS.
"""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import orjson

from lambent.event_sources.batch import Event


def record(message: Mapping[str, Any], queue_arn: str, region: str) -> dict[str, Any]:
    """`message`: of ReceiveMessage."""
    shaped: dict[str, Any] = {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message.get("Body", ""),
        "attributes": dict(message.get("Attributes") or {}),
        "messageAttributes": {
            name: _attribute(value) for name, value in (message.get("MessageAttributes") or {}).items()
        },
        "md5OfBody": message.get("MD5OfBody"),
    }
    if message.get("MD5OfMessageAttributes"):
        shaped["md5OfMessageAttributes"] = message["MD5OfMessageAttributes"]
    return shaped | {"eventSource": "aws:sqs", "eventSourceARN": queue_arn, "awsRegion": region}


def _attribute(value: Mapping[str, Any]) -> dict[str, Any]:
    shaped: dict[str, Any] = {}
    if value.get("StringValue") is not None:
        shaped["stringValue"] = value["StringValue"]
    if value.get("BinaryValue") is not None:
        shaped["binaryValue"] = b64encode(value["BinaryValue"]).decode()
    return shaped | {"stringListValues": [], "binaryListValues": [], "dataType": value.get("DataType", "String")}


def event(shaped: Mapping[str, Any], held_until_s: float) -> Event:
    return Event(
        id=shaped["messageId"],
        receipt=shaped["receiptHandle"],
        record=orjson.dumps(shaped),
        held_until_s=held_until_s,
        trace_header=shaped["attributes"].get("AWSTraceHeader"),
    )
