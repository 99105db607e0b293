"""Groups, streams, tags, retention policies: shapes, errors, paging."""

from lambent.testing.manual_clock import START
from tests.unit.services.logs.conftest import Logs

START_MS = int(START.timestamp() * 1000)


async def test_a_group_is_described_with_both_arns(logs: Logs) -> None:
    await logs("CreateLogGroup", logGroupName="/a/b")
    (group,) = (await logs("DescribeLogGroups"))["logGroups"]
    assert group == {
        "logGroupName": "/a/b",
        "creationTime": START_MS,
        "metricFilterCount": 0,
        "arn": "arn:aws:logs:us-east-1:000000000000:log-group:/a/b:*",
        "logGroupArn": "arn:aws:logs:us-east-1:000000000000:log-group:/a/b",
        "storedBytes": 0,
        "logGroupClass": "STANDARD",
        "deletionProtectionEnabled": False,
    }


async def test_names_that_exist_or_do_not_give_the_errors_of_aws(logs: Logs) -> None:
    await logs.make("g", "s")
    error = await logs.error("CreateLogGroup", logGroupName="g")
    assert (error.code, error.message) == (
        "ResourceAlreadyExistsException",
        "The specified log group already exists",
    )
    error = await logs.error("CreateLogStream", logGroupName="g", logStreamName="s")
    assert (error.code, error.message) == (
        "ResourceAlreadyExistsException",
        "The specified log stream already exists",
    )
    no_group = ("ResourceNotFoundException", "The specified log group does not exist.")
    no_stream = ("ResourceNotFoundException", "The specified log stream does not exist.")
    one = [{"timestamp": START_MS, "message": "m"}]
    for operation, parameters, expected in (
        ("DeleteLogGroup", {"logGroupName": "no"}, no_group),
        ("CreateLogStream", {"logGroupName": "no", "logStreamName": "s"}, no_group),
        ("DeleteLogStream", {"logGroupName": "no", "logStreamName": "s"}, no_group),
        ("DeleteLogStream", {"logGroupName": "g", "logStreamName": "no"}, no_stream),
        ("DescribeLogStreams", {"logGroupName": "no"}, no_group),
        ("PutLogEvents", {"logGroupName": "no", "logStreamName": "s", "logEvents": one}, no_group),
        ("PutLogEvents", {"logGroupName": "g", "logStreamName": "no", "logEvents": one}, no_stream),
        ("GetLogEvents", {"logGroupName": "g", "logStreamName": "no"}, no_stream),
        ("FilterLogEvents", {"logGroupName": "no"}, no_group),
        ("FilterLogEvents", {"logGroupName": "g", "logStreamNames": ["s", "no"]}, no_stream),
        ("PutRetentionPolicy", {"logGroupName": "no", "retentionInDays": 1}, no_group),
        ("DeleteRetentionPolicy", {"logGroupName": "no"}, no_group),
        ("ListTagsLogGroup", {"logGroupName": "no"}, no_group),
    ):
        error = await logs.error(operation, **parameters)
        assert (error.code, error.message) == expected, operation


async def test_groups_are_listed_by_name_in_pages(logs: Logs) -> None:
    names = [*sorted(f"/app/{number}" for number in range(7)), "/other"]
    for name in reversed(names):
        await logs("CreateLogGroup", logGroupName=name)
    found: list[str] = []
    token: dict[str, str] = {}
    pages = 0
    while True:
        page = await logs("DescribeLogGroups", logGroupNamePrefix="/app", limit=3, **token)
        found += [group["logGroupName"] for group in page["logGroups"]]
        pages += 1
        if "nextToken" not in page:
            break
        token = {"nextToken": page["nextToken"]}
    assert (found, pages) == (names[:7], 3)
    pattern = await logs("DescribeLogGroups", logGroupNamePattern="the")
    assert [group["logGroupName"] for group in pattern["logGroups"]] == ["/other"]
    named = await logs("DescribeLogGroups", logGroupIdentifiers=["/app/1", page["logGroups"][-1]["logGroupArn"]])
    assert [group["logGroupName"] for group in named["logGroups"]] == ["/app/1", "/app/6"]
    assert (await logs.error("DescribeLogGroups", nextToken="x")).message == "The specified nextToken is invalid."
    assert (
        await logs.error("DescribeLogGroups", logGroupNamePrefix="a", logGroupNamePattern="b")
    ).code == "InvalidParameterException"


async def test_streams_are_ordered_by_name_or_by_last_event(logs: Logs) -> None:
    await logs.make("g", "c", "a", "b", "empty")
    for index, stream in enumerate(("b", "a", "c")):
        await logs.put("g", stream, "m", at=START_MS + index)

    async def names(**parameters: object) -> list[str]:
        found: list[str] = []
        while True:
            page = await logs("DescribeLogStreams", logGroupName="g", limit=2, **parameters)
            found += [stream["logStreamName"] for stream in page["logStreams"]]
            if "nextToken" not in page:
                return found
            parameters["nextToken"] = page["nextToken"]

    assert await names() == ["a", "b", "c", "empty"]
    assert await names(descending=True) == ["empty", "c", "b", "a"]
    assert await names(logStreamNamePrefix="e") == ["empty"]
    assert await names(orderBy="LastEventTime") == ["empty", "b", "a", "c"]
    assert await names(orderBy="LastEventTime", descending=True) == ["c", "a", "b", "empty"]
    error = await logs.error("DescribeLogStreams", logGroupName="g", orderBy="LastEventTime", logStreamNamePrefix="a")
    assert error.message == "Cannot order by LastEventTime with a logStreamNamePrefix."


async def test_a_stream_tells_the_times_of_its_events(logs: Logs) -> None:
    await logs.make("g", "s")
    (empty,) = (await logs("DescribeLogStreams", logGroupName="g"))["logStreams"]
    assert set(empty) == {"logStreamName", "creationTime", "arn", "storedBytes"}
    await logs.clock.advance(60)
    await logs.put("g", "s", "one", "two", at=START_MS + 5)
    (stream,) = (await logs("DescribeLogStreams", logGroupIdentifier="g"))["logStreams"]
    assert stream["arn"] == "arn:aws:logs:us-east-1:000000000000:log-group:g:log-stream:s"
    assert (stream["creationTime"], stream["storedBytes"]) == (START_MS, 0)
    assert (stream["firstEventTimestamp"], stream["lastEventTimestamp"]) == (START_MS + 5, START_MS + 6)
    assert stream["lastIngestionTime"] == START_MS + 60_000
    assert stream["uploadSequenceToken"].isdigit()
    assert len(stream["uploadSequenceToken"]) == 56


async def test_a_deleted_group_is_empty_when_it_is_made_again(logs: Logs) -> None:
    await logs.make("g", "s")
    await logs.put("g", "s", "before")
    await logs("DeleteLogGroup", logGroupName="g")
    assert (await logs("DescribeLogGroups"))["logGroups"] == []
    await logs.make("g", "s")
    assert await logs.messages("g") == []


async def test_a_deleted_stream_takes_its_events_and_bytes_along(logs: Logs) -> None:
    await logs.make("g", "s", "t")
    await logs.put("g", "s", "12345")
    await logs.put("g", "t", "123")
    assert (await logs("DescribeLogGroups"))["logGroups"][0]["storedBytes"] == 5 + 3 + 2 * 26
    await logs("DeleteLogStream", logGroupName="g", logStreamName="s")
    assert (await logs("DescribeLogGroups"))["logGroups"][0]["storedBytes"] == 3 + 26
    assert await logs.messages("g") == ["123"]


async def test_accounts_do_not_see_each_other(logs: Logs) -> None:
    await logs.make("g", "s")
    logs.account = "111111111111"
    assert (await logs("DescribeLogGroups"))["logGroups"] == []
    assert (await logs.error("FilterLogEvents", logGroupName="g")).code == "ResourceNotFoundException"
    arn = "arn:aws:logs:us-east-1:000000000000:log-group:g"
    assert (await logs.error("FilterLogEvents", logGroupIdentifier=arn)).code == "ResourceNotFoundException"


async def test_a_retention_policy_is_put_shown_and_taken_away(logs: Logs) -> None:
    await logs("CreateLogGroup", logGroupName="g")
    await logs("PutRetentionPolicy", logGroupName="g", retentionInDays=14)
    assert (await logs("DescribeLogGroups"))["logGroups"][0]["retentionInDays"] == 14
    await logs("DeleteRetentionPolicy", logGroupName="g")
    assert "retentionInDays" not in (await logs("DescribeLogGroups"))["logGroups"][0]
    error = await logs.error("PutRetentionPolicy", logGroupName="g", retentionInDays=2)
    assert error.code == "InvalidParameterException"
    assert "Member must satisfy enum value set: [1, 3, 5," in (error.message or "")


async def test_tags_are_set_by_arn_and_by_name(logs: Logs) -> None:
    await logs("CreateLogGroup", logGroupName="g", tags={"a": "1"})
    arn = "arn:aws:logs:us-east-1:000000000000:log-group:g"
    await logs("TagResource", resourceArn=arn, tags={"b": "2", "c": "3"})
    await logs("TagLogGroup", logGroupName="g", tags={"a": "9"})
    await logs("UntagResource", resourceArn=arn, tagKeys=["c", "unknown"])
    assert (await logs("ListTagsForResource", resourceArn=arn))["tags"] == {"a": "9", "b": "2"}
    await logs("UntagLogGroup", logGroupName="g", tags=["b"])
    assert (await logs("ListTagsLogGroup", logGroupName="g"))["tags"] == {"a": "9"}
    many = {f"k{number}": "" for number in range(50)}
    assert (await logs.error("TagResource", resourceArn=arn, tags=many)).code == "TooManyTagsException"
    assert (await logs.error("TagResource", resourceArn=arn, tags={"AWS:x": ""})).code == "InvalidParameterException"


async def test_options_without_an_effect_are_refused_by_name(logs: Logs) -> None:
    for member, value in (
        ("kmsKeyId", "arn:aws:kms:us-east-1:000000000000:key/1"),
        ("logGroupClass", "INFREQUENT_ACCESS"),
        ("deletionProtectionEnabled", True),
    ):
        error = await logs.error("CreateLogGroup", logGroupName="g", **{member: value})
        assert member in (error.message or "")
    await logs("CreateLogGroup", logGroupName="g", logGroupClass="STANDARD", deletionProtectionEnabled=False)
