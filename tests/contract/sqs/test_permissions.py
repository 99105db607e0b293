"""Who may use a queue: its account, and those whom its policy lets in."""

import json
from typing import Any

import pytest

from lambent.aws.errors import ApiError
from lambent.aws.service import Source
from lambent.testing.aws_client import ACCOUNT, REGION, AsyncClient
from tests.contract.sqs.conftest import OTHER, World, arn_of, attributes, bodies, refused, status_of


async def policy_of(sqs: AsyncClient, queue: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((await attributes(sqs, queue, "Policy"))["Policy"])
    return found


async def test_permissions_make_a_policy(sqs: AsyncClient, queue: str) -> None:
    await sqs.add_permission(QueueUrl=queue, Label="one", AWSAccountIds=[OTHER], Actions=["SendMessage"])
    first = {
        "Sid": "one",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{OTHER}:root"},
        "Action": "SQS:SendMessage",
        "Resource": arn_of(queue),
    }
    assert await policy_of(sqs, queue) == {
        "Version": "2008-10-17",
        "Id": f"{arn_of(queue)}/SQSDefaultPolicy",
        "Statement": [first],
    }
    await sqs.add_permission(
        QueueUrl=queue,
        Label="two",
        AWSAccountIds=[OTHER, "222222222222"],
        Actions=["ReceiveMessage", "DeleteMessage"],
    )
    second = (await policy_of(sqs, queue))["Statement"][1]
    assert second["Principal"]["AWS"] == [f"arn:aws:iam::{OTHER}:root", "arn:aws:iam::222222222222:root"]
    assert second["Action"] == ["SQS:ReceiveMessage", "SQS:DeleteMessage"]
    await sqs.remove_permission(QueueUrl=queue, Label="two")
    assert (await policy_of(sqs, queue))["Statement"] == [first]
    await sqs.remove_permission(QueueUrl=queue, Label="one")
    assert "Policy" not in await attributes(sqs, queue)


async def test_labels_and_actions_that_are_refused(sqs: AsyncClient, queue: str) -> None:
    def add(label: str, *actions: str, accounts: tuple[str, ...] = (OTHER,)) -> Any:
        return sqs.add_permission(QueueUrl=queue, Label=label, AWSAccountIds=list(accounts), Actions=list(actions))

    assert (await refused(sqs.remove_permission(QueueUrl=queue, Label="l")))[1] == (
        "Value l for parameter Label is invalid. Reason: can't find label."
    )
    await add("l", "SendMessage")
    assert await refused(add("l", "SendMessage")) == (
        "InvalidParameterValue",
        "Value l for parameter Label is invalid. Reason: Already exists.",
    )
    assert (await refused(sqs.remove_permission(QueueUrl=queue, Label="m")))[1] == (
        "Value m for parameter Label is invalid. Reason: can't find label on existing policy."
    )
    assert (await refused(add("m", "CreateQueue")))[1] == (
        "Value SQS:CreateQueue for parameter ActionName is invalid. "
        "Reason: Only the queue owner is allowed to invoke this action."
    )
    assert (await refused(add("m", "Dance")))[1] == (
        "Value SQS:Dance for parameter ActionName is invalid. "
        "Reason: Please refer to the appropriate WSDL for a list of valid actions."
    )
    assert (await refused(add("m", "SendMessage", accounts=("x",))))[1] == (
        "Value [x] for parameter PrincipalId is invalid. Reason: Unable to verify."
    )
    assert await refused(add("m", *["SendMessage"] * 8)) == (
        "OverLimit",
        "8 Actions were found, maximum allowed is 7.",
    )


async def test_more_than_20_statements(sqs: AsyncClient, queue: str) -> None:
    for number in range(20):
        await sqs.add_permission(QueueUrl=queue, Label=f"l{number}", AWSAccountIds=[OTHER], Actions=["SendMessage"])
    call = sqs.add_permission(QueueUrl=queue, Label="more", AWSAccountIds=[OTHER], Actions=["SendMessage"])
    assert await refused(call) == ("OverLimit", "21 Statements were found, maximum allowed is 20.")


async def test_another_account_may_do_what_the_policy_says(world: World, sqs: AsyncClient, queue: str) -> None:
    other = world.client(OTHER)
    denied = other.send_message(QueueUrl=queue, MessageBody="x")
    assert await refused(denied) == (
        "AccessDenied",
        f"User: arn:aws:iam::{OTHER}:root is not authorized to perform: sqs:sendmessage on resource: {arn_of(queue)} "
        "because no resource-based policy allows the sqs:sendmessage action",
    )
    assert await status_of(other.send_message(QueueUrl=queue, MessageBody="x")) == 403
    await sqs.add_permission(QueueUrl=queue, Label="l", AWSAccountIds=[OTHER], Actions=["SendMessage"])
    await other.send_message(QueueUrl=queue, MessageBody="one")
    await other.send_message_batch(QueueUrl=queue, Entries=[{"Id": "a", "MessageBody": "two"}])
    assert (await refused(other.receive_message(QueueUrl=queue)))[0] == "AccessDenied"
    assert await bodies(sqs, queue) == ["one", "two"]


async def test_what_no_policy_can_share(world: World, sqs: AsyncClient, queue: str) -> None:
    statement = {"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": arn_of(queue)}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    await sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(policy)})
    other = world.client(OTHER)
    await other.receive_message(QueueUrl=queue)
    await other.get_queue_url(QueueName="orders", QueueOwnerAWSAccountId=ACCOUNT)
    for call in (
        other.delete_queue(QueueUrl=queue),
        other.tag_queue(QueueUrl=queue, Tags={"a": "b"}),
        other.set_queue_attributes(QueueUrl=queue, Attributes={"DelaySeconds": "1"}),
        other.add_permission(QueueUrl=queue, Label="l", AWSAccountIds=[OTHER], Actions=["SendMessage"]),
    ):
        assert (await refused(call))[0] == "AccessDenied"


async def test_the_own_account_is_stopped_by_a_deny_alone_and_can_take_it_back(sqs: AsyncClient, queue: str) -> None:
    statement = {"Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": arn_of(queue)}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    await sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(policy)})
    code, text = await refused(sqs.send_message(QueueUrl=queue, MessageBody="x"))
    assert (code, text.endswith("with an explicit deny in a resource-based policy")) == ("AccessDenied", True)
    await sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": ""})
    await sqs.send_message(QueueUrl=queue, MessageBody="x")


async def send_as(world: World, queue: str, service: str, source: Source | None) -> None:
    await world.caller.call(
        "sqs",
        "SendMessage",
        {"QueueUrl": queue, "MessageBody": service},
        account=ACCOUNT,
        region=REGION,
        principal=service,
        source=source,
    )


async def test_services_are_let_in_by_the_policy_for_what_they_come_for(
    world: World, sqs: AsyncClient, queue: str
) -> None:
    bucket = Source("arn:aws:s3:::photos", ACCOUNT)
    with pytest.raises(ApiError, match="AccessDenied"):
        await send_as(world, queue, "s3.amazonaws.com", bucket)
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn_of(queue),
        "Condition": {
            "ArnLike": {"aws:SourceArn": "arn:aws:s3:::photos"},
            "StringEquals": {"aws:SourceAccount": ACCOUNT},
        },
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    await sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(policy)})
    await send_as(world, queue, "s3.amazonaws.com", bucket)
    for service, source in (
        ("sns.amazonaws.com", bucket),
        ("s3.amazonaws.com", None),
        ("s3.amazonaws.com", Source("arn:aws:s3:::others", ACCOUNT)),
        ("s3.amazonaws.com", Source("arn:aws:s3:::photos", OTHER)),
    ):
        with pytest.raises(ApiError, match="AccessDenied"):
            await send_as(world, queue, service, source)
    assert await bodies(sqs, queue) == ["s3.amazonaws.com"]
