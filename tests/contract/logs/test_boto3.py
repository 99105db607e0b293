"""boto3 and its paginators against the logs service, through the gateway."""

import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambent.services.logs.service import LogsService
from lambent.testing.aws_client import ACCOUNT, REGION, AsyncClient


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def events(*messages: str) -> list[dict[str, Any]]:
    stamp = now_ms() - 1000
    return [{"timestamp": stamp + index, "message": message} for index, message in enumerate(messages)]


async def fill(client: AsyncClient, *messages: str) -> None:
    await client.create_log_group(logGroupName="g")
    await client.create_log_stream(logGroupName="g", logStreamName="s")
    await client.put_log_events(logGroupName="g", logStreamName="s", logEvents=events(*messages))


async def test_the_life_of_a_group(client: AsyncClient) -> None:
    await client.create_log_group(logGroupName="/my/app", tags={"team": "a"})
    await client.create_log_stream(logGroupName="/my/app", logStreamName="one")
    put = await client.put_log_events(logGroupName="/my/app", logStreamName="one", logEvents=events("hello"))
    assert put["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert "rejectedLogEventsInfo" not in put
    (group,) = (await client.describe_log_groups())["logGroups"]
    assert group["arn"] == f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/my/app:*"
    tags = await client.list_tags_for_resource(resourceArn=group["logGroupArn"])
    assert tags["tags"] == {"team": "a"}
    found = await client.filter_log_events(logGroupIdentifier=group["logGroupArn"], filterPattern="hello")
    assert [event["message"] for event in found["events"]] == ["hello"]
    await client.delete_log_group(logGroupName="/my/app")
    assert (await client.describe_log_groups())["logGroups"] == []


async def test_a_retention_policy_is_put_and_taken_away(client: AsyncClient) -> None:
    await client.create_log_group(logGroupName="g")
    await client.put_retention_policy(logGroupName="g", retentionInDays=7)
    assert (await client.describe_log_groups())["logGroups"][0]["retentionInDays"] == 7
    with pytest.raises(ClientError, match="InvalidParameterException"):
        await client.put_retention_policy(logGroupName="g", retentionInDays=8)
    await client.delete_retention_policy(logGroupName="g")
    assert "retentionInDays" not in (await client.describe_log_groups())["logGroups"][0]
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        await client.put_retention_policy(logGroupName="missing", retentionInDays=7)


async def test_a_stream_is_deleted_with_its_events(client: AsyncClient) -> None:
    await fill(client, "hello")
    await client.delete_log_stream(logGroupName="g", logStreamName="s")
    assert (await client.describe_log_streams(logGroupName="g"))["logStreams"] == []
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        await client.get_log_events(logGroupName="g", logStreamName="s")
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        await client.delete_log_stream(logGroupName="g", logStreamName="s")


async def test_tags_by_the_name_of_the_group(client: AsyncClient) -> None:
    """The operations that were there before resources had ARNs."""
    await client.create_log_group(logGroupName="g", tags={"a": "1"})
    await client.tag_log_group(logGroupName="g", tags={"b": "2"})
    assert (await client.list_tags_log_group(logGroupName="g"))["tags"] == {"a": "1", "b": "2"}
    await client.untag_log_group(logGroupName="g", tags=["a"])
    assert (await client.list_tags_log_group(logGroupName="g"))["tags"] == {"b": "2"}


async def test_every_paginator_ends_with_everything(client: AsyncClient) -> None:
    messages = [f"line {number}" for number in range(25)]
    await fill(client, *messages)
    for number in range(5):
        await client.create_log_stream(logGroupName="g", logStreamName=f"extra {number}")
        await client.create_log_group(logGroupName=f"h{number}")
    size = {"PageSize": 2}
    groups = await client.pages("describe_log_groups", PaginationConfig=size)
    assert [group["logGroupName"] for page in groups for group in page["logGroups"]] == [
        "g",
        "h0",
        "h1",
        "h2",
        "h3",
        "h4",
    ]
    streams = await client.pages("describe_log_streams", logGroupName="g", PaginationConfig=size)
    assert sum(len(page["logStreams"]) for page in streams) == 6
    found = await client.pages("filter_log_events", logGroupName="g", PaginationConfig={"PageSize": 4})
    assert [event["message"] for page in found for event in page["events"]] == messages


async def test_errors_are_the_exceptions_of_the_model(client: AsyncClient) -> None:
    with pytest.raises(client.client.exceptions.ResourceNotFoundException) as missing:
        await client.get_log_events(logGroupName="no", logStreamName="s")
    assert missing.value.response["Error"]["Message"] == "The specified log group does not exist."
    await client.create_log_group(logGroupName="g")
    with pytest.raises(client.client.exceptions.ResourceAlreadyExistsException):
        await client.create_log_group(logGroupName="g")
    with pytest.raises(ClientError) as invalid:
        await client.create_log_group(logGroupName="with space")
    assert invalid.value.response["Error"]["Code"] == "InvalidParameterException"
    with pytest.raises(ClientError) as invalid:
        await client.filter_log_events(logGroupName="g", filterPattern="{ $.a = 1 }")
    assert invalid.value.response["Error"]["Code"] == "InvalidParameterException"
    with pytest.raises(ClientError) as unbuilt:
        await client.put_metric_filter(
            logGroupName="g",
            filterName="f",
            filterPattern="",
            metricTransformations=[{"metricName": "m", "metricNamespace": "n", "metricValue": "1"}],
        )
    assert unbuilt.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


async def test_rejected_events_are_named(client: AsyncClient) -> None:
    await fill(client, "fine")
    old = [{"timestamp": now_ms() - 15 * 86_400_000, "message": "old"}, *events("new")]
    put = await client.put_log_events(logGroupName="g", logStreamName="s", logEvents=old)
    assert put["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1}


async def test_following_as_the_aws_cli_does_shows_each_line_once(client: AsyncClient, service: LogsService) -> None:
    """`aws logs tail --follow`: ask from the newest time on, leave out the ids seen at that time."""
    stream = service.sink.open(account=ACCOUNT, region=REGION, group="/aws/lambda/f", stream="s")
    start = stamp = now_ms()
    seen: dict[str, int] = {}
    shown: list[str] = []
    for round_number in range(6):
        for number in range(3):
            # Two lines of each round share a millisecond with the next round.
            stream.write(stamp + (number == 2), f"{round_number}.{number}\n")
        stamp += 1
        token: dict[str, str] = {}
        while True:
            page = await client.filter_log_events(logGroupName="/aws/lambda/f", startTime=start, limit=2, **token)
            for event in page["events"]:
                if event["eventId"] not in seen:
                    seen[event["eventId"]] = event["timestamp"]
                    shown.append(event["message"])
            if "nextToken" not in page:
                break
            token = {"nextToken": page["nextToken"]}
        start = max(seen.values())
        seen = {name: at for name, at in seen.items() if at == start}
    assert sorted(shown) == [f"{a}.{b}\n" for a in range(6) for b in range(3)]
