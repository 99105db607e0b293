"""DeadLetterConfig on create and update: spec 1.3."""

import pytest

from tests.contract.functions.conftest import ACCOUNT, Lambda

QUEUE = f"arn:aws:sqs:us-east-1:{ACCOUNT}:q"
TOPIC = f"arn:aws:sns:us-east-1:{ACCOUNT}:t"


async def test_a_dead_letter_queue_is_kept_shown_changed_and_cleared(lambda_: Lambda) -> None:
    assert (await lambda_.created(DeadLetterConfig={"TargetArn": QUEUE}))["DeadLetterConfig"] == {"TargetArn": QUEUE}
    assert (await lambda_.get_function(FunctionName="f"))["Configuration"]["DeadLetterConfig"] == {"TargetArn": QUEUE}
    await lambda_.update_function_configuration(FunctionName="f", DeadLetterConfig={"TargetArn": TOPIC})
    assert (await lambda_.updated())["DeadLetterConfig"] == {"TargetArn": TOPIC}
    await lambda_.update_function_configuration(FunctionName="f", Timeout=5)
    assert (await lambda_.updated())["DeadLetterConfig"] == {"TargetArn": TOPIC}
    await lambda_.update_function_configuration(FunctionName="f", DeadLetterConfig={"TargetArn": ""})
    assert "DeadLetterConfig" not in await lambda_.updated()


async def test_a_published_version_keeps_its_own(lambda_: Lambda) -> None:
    await lambda_.created(DeadLetterConfig={"TargetArn": QUEUE}, Publish=True)
    await lambda_.update_function_configuration(FunctionName="f", DeadLetterConfig={"TargetArn": TOPIC})
    await lambda_.updated()
    first = await lambda_.get_function_configuration(FunctionName="f", Qualifier="1")
    assert first["DeadLetterConfig"] == {"TargetArn": QUEUE}
    assert (await lambda_.publish_version(FunctionName="f"))["Version"] == "2"


@pytest.mark.parametrize(
    "target",
    [QUEUE + ".fifo", "arn:aws:s3:::bucket", f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:g", "arn:aws:sqs:x"],
)
async def test_only_standard_queues_and_topics(lambda_: Lambda, target: str) -> None:
    """The text is ours."""
    status, code, message = await lambda_.refused(
        "create_function",
        FunctionName="f",
        Runtime="python3.11",
        Role=f"arn:aws:iam::{ACCOUNT}:role/r",
        Handler="a.b",
        Code={"ZipFile": b"x"},
        DeadLetterConfig={"TargetArn": target},
    )
    assert (status, code) == (400, "InvalidParameterValueException")
    assert target in message
