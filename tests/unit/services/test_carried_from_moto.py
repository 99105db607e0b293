"""What moto's process may have the server do."""

import asyncio
from typing import Any

import msgspec
import pytest

from lambent.aws.errors import ApiError
from lambent.services.neighbours import carried
from lambent.testing.scripted_caller import ScriptedCaller

TOPIC = "arn:aws:sns:us-east-1:111111111111:t"
ROLE = "arn:aws:iam::111111111111:role/r"
SENDS = {"service": "sqs", "operation": "SendMessage", "account": "111111111111", "region": "us-east-1"}


def answer(caller: ScriptedCaller | None, **head: Any) -> tuple[dict[str, Any], bytes]:
    whole = {**SENDS, "principal": carried.SNS, "source": TOPIC, "trace_header": None, **head}
    return asyncio.run(carried.answer(caller, whole, msgspec.msgpack.encode({"MessageBody": "b"}), {"111111111111"}))


def test_a_call_is_made_for_its_service() -> None:
    caller = ScriptedCaller({("sqs", "SendMessage"): {"MessageId": "1"}})
    head, body = answer(caller)
    assert (head, msgspec.msgpack.decode(body)) == ({}, {"MessageId": "1"})
    assert caller.asked[0].principal == carried.SNS


@pytest.mark.parametrize(
    "head",
    [
        {"operation": "DeleteQueue"},
        {"service": "iam", "operation": "CreateRole"},
        {"principal": "lambda.amazonaws.com"},
        {"principal": "arn:aws:iam::111111111111:root"},
        {"principal": "arn:aws:iam::222222222222:role/r"},
        {"principal": ROLE, "account": "222222222222"},
        {"principal": ROLE, "service": "iam", "operation": "CreateRole"},
        {"principal": "arn:aws:iam::222222222222:root", "service": "s3", "operation": "GetObject"},
        {"principal": ROLE, "service": "s3", "operation": "GetObject"},
        {
            "principal": "arn:aws:iam::222222222222:root",
            "account": "222222222222",
            "service": "s3",
            "operation": "GetObject",
        },
    ],
)
def test_no_other_call_is_made(head: dict[str, str]) -> None:
    caller = ScriptedCaller()
    told, _ = answer(caller, **head)
    assert told["failure"] == "refused"
    assert told["code"] == "NotImplementedException"
    assert caller.asked == []


@pytest.mark.parametrize(("status", "kind"), [(400, "refused"), (403, "refused"), (501, "refused"), (503, "failed")])
def test_an_error_that_may_pass_is_told_from_one_that_does_not(status: int, kind: str) -> None:
    told, _ = answer(ScriptedCaller({("sqs", "SendMessage"): ApiError("Code", "text", status=status)}))
    assert told == {"failure": kind, "code": "Code", "message": "text"}


def test_without_a_caller_nothing_is_made() -> None:
    assert answer(None)[0]["failure"] == "refused"
