"""PutLogEvents, GetLogEvents, FilterLogEvents."""

from typing import Any

import pytest

from lambent.services.logs.tokens import opaque
from lambent.testing.manual_clock import START
from tests.unit.services.logs.conftest import Logs

START_MS = int(START.timestamp() * 1000)
DAY_MS = 86_400_000


def texts(page: Any) -> list[str]:
    return [event["message"] for event in page["events"]]


async def test_events_are_read_as_they_were_put(logs: Logs) -> None:
    await logs.make("g", "s")
    await logs.put("g", "s", "one", "zwei ß €", "three\n")
    page = await logs("GetLogEvents", logGroupName="g", logStreamName="s", startFromHead=True)
    assert page["events"] == [
        {"timestamp": START_MS, "message": "one", "ingestionTime": START_MS},
        {"timestamp": START_MS + 1, "message": "zwei ß €", "ingestionTime": START_MS},
        {"timestamp": START_MS + 2, "message": "three\n", "ingestionTime": START_MS},
    ]


async def test_forward_tokens_go_to_the_end_and_stay_there(logs: Logs) -> None:
    await logs.make("g", "s")
    await logs.put("g", "s", *"abcde")

    async def get(**parameters: Any) -> Any:
        return await logs("GetLogEvents", logGroupName="g", logStreamName="s", **parameters)

    page = await get(startFromHead=True, limit=2)
    assert texts(page) == ["a", "b"]
    page = await get(nextToken=page["nextForwardToken"], limit=2, startFromHead=True)
    assert texts(page) == ["c", "d"]
    back = page["nextBackwardToken"]
    page = await get(nextToken=page["nextForwardToken"], limit=2)
    assert texts(page) == ["e"]
    end = page["nextForwardToken"]
    page = await get(nextToken=end)
    assert (texts(page), page["nextForwardToken"]) == ([], end)
    assert texts(await get(nextToken=page["nextBackwardToken"])) == list("abcde")
    assert texts(await get(nextToken=back)) == ["a", "b"]
    await logs.put("g", "s", "f", at=START_MS + 10)
    assert texts(await get(nextToken=end)) == ["f"]


async def test_without_start_from_head_the_newest_page_comes_first(logs: Logs) -> None:
    await logs.make("g", "s")
    await logs.put("g", "s", *"abcde")

    async def get(**parameters: Any) -> Any:
        return await logs("GetLogEvents", logGroupName="g", logStreamName="s", limit=2, **parameters)

    pages = [await get()]
    while not pages[1:] or pages[-1]["nextBackwardToken"] != pages[-2]["nextBackwardToken"]:
        pages.append(await get(nextToken=pages[-1]["nextBackwardToken"]))
    assert [texts(page) for page in pages] == [["d", "e"], ["b", "c"], ["a"], []]
    assert texts(await get(nextToken=pages[-1]["nextForwardToken"])) == ["a", "b"]


async def test_an_empty_stream_gives_tokens_that_find_later_events(logs: Logs) -> None:
    await logs.make("g", "s")
    page = await logs("GetLogEvents", logGroupName="g", logStreamName="s")
    again = await logs("GetLogEvents", logGroupName="g", logStreamName="s", nextToken=page["nextForwardToken"])
    assert again["nextForwardToken"] == page["nextForwardToken"]
    await logs.put("g", "s", "late")
    again = await logs("GetLogEvents", logGroupName="g", logStreamName="s", nextToken=page["nextForwardToken"])
    assert texts(again) == ["late"]


async def test_end_time_is_exclusive_in_get_and_inclusive_in_filter(logs: Logs) -> None:
    await logs.make("g", "s")
    await logs.put("g", "s", *"abc")
    window = {"startTime": START_MS + 1, "endTime": START_MS + 2}
    assert texts(await logs("GetLogEvents", logGroupName="g", logStreamName="s", **window)) == ["b"]
    assert texts(await logs("FilterLogEvents", logGroupName="g", **window)) == ["b", "c"]
    assert texts(await logs("FilterLogEvents", logGroupName="g", startTime=2**62, endTime=2**62)) == []
    assert texts(await logs("GetLogEvents", logGroupName="g", logStreamName="s", endTime=2**63 - 1)) == list("abc")


async def test_streams_are_interleaved_by_time_across_chunks(logs: Logs) -> None:
    await logs.make("g", "s", "t")
    for step in range(0, 10, 2):
        for stream, shift in (("s", 0), ("t", 1)):
            await logs.put("g", stream, str(step + shift), at=START_MS + step + shift)
    # A late batch that lies between the others.
    await logs.put("g", "s", "late", at=START_MS + 3)
    expected = ["0", "1", "2", "3", "late", "4", "5", "6", "7", "8", "9"]
    assert await logs.messages("g") == expected
    assert await logs.messages("g", limit=3) == expected
    assert await logs.messages("g", limit=4, startFromHead=False) == expected[::-1]
    assert await logs.messages("g", logStreamNames=["t"], limit=1) == ["1", "3", "5", "7", "9"]
    assert await logs.messages("g", logStreamNamePrefix="s") == ["0", "2", "late", "4", "6", "8"]


async def test_event_ids_are_56_digits_unique_and_stay(logs: Logs) -> None:
    await logs.make("g", "s")
    stream = logs.open("g", "live")
    for message in "abc":
        stream.write(START_MS, message)
    before = (await logs("FilterLogEvents", logGroupIdentifier="g"))["events"]
    await logs.service.sink.flush()
    after = (await logs("FilterLogEvents", logGroupName="g"))["events"]
    assert before == after
    ids = [event["eventId"] for event in after]
    assert len(set(ids)) == 3
    assert ids == sorted(ids)
    assert all(len(identifier) == 56 and int(identifier) >> 144 == START_MS for identifier in ids)


async def test_a_page_ends_at_a_megabyte(logs: Logs) -> None:
    await logs.make("g", "s")
    for index in range(3):
        await logs.put("g", "s", "x" * 400_000, "y" * 400_000, at=START_MS + 10 * index)
    page = await logs("FilterLogEvents", logGroupName="g")
    assert len(page["events"]) == 2
    assert len(await logs.messages("g")) == 6
    page = await logs("GetLogEvents", logGroupName="g", logStreamName="s", startFromHead=True)
    assert len(page["events"]) == 2


async def test_a_filter_pages_through_what_it_does_not_match(logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lambent.services.logs.read.SCAN_BYTES", 1000)
    await logs.make("g", "s")
    await logs.put("g", "s", *(["noise " * 20] * 50), "needle")
    page = await logs("FilterLogEvents", logGroupName="g", filterPattern="needle")
    assert page["events"] == []
    assert "nextToken" in page
    assert await logs.messages("g", filterPattern="needle") == ["needle"]


async def test_too_old_and_too_new_events_are_named_by_index(logs: Logs) -> None:
    await logs.make("g", "s")
    old, new = START_MS - 14 * DAY_MS - 1, START_MS + 2 * 3_600_000 + 1
    events = [{"timestamp": stamp, "message": str(stamp)} for stamp in (old, START_MS, new)]
    result = await logs("PutLogEvents", logGroupName="g", logStreamName="s", logEvents=events)
    assert result["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1, "tooNewLogEventStartIndex": 2}
    assert await logs.messages("g") == [str(START_MS)]
    await logs("PutRetentionPolicy", logGroupName="g", retentionInDays=1)
    result = await logs.put("g", "s", "expired", at=START_MS - 2 * DAY_MS)
    assert result["rejectedLogEventsInfo"] == {"expiredLogEventEndIndex": 1}


async def test_batches_against_the_rules_are_refused_with_the_texts_of_aws(logs: Logs) -> None:
    await logs.make("g", "s")

    async def refused(*events: tuple[int, str]) -> str | None:
        shaped = [{"timestamp": stamp, "message": message} for stamp, message in events]
        error = await logs.error("PutLogEvents", logGroupName="g", logStreamName="s", logEvents=shaped)
        assert error.code == "InvalidParameterException"
        return error.message

    unordered = await refused((START_MS + 1, "a"), (START_MS, "b"))
    assert unordered == "Log events in a single PutLogEvents request must be in chronological order."
    too_long = await refused((START_MS - DAY_MS - 1, "a"), (START_MS, "b"))
    assert too_long == "The batch of log events in a single PutLogEvents request cannot span more than 24 hours."
    half = "ä" * 262_144
    assert await refused((START_MS, half), (START_MS, half)) == (
        "Upload too large: 1048628 bytes exceeds limit of 1048576"
    )
    assert await refused((START_MS, "x" * 1_048_576)) == ("Log event too large: 1048602 bytes exceeds limit of 1048576")
    assert await logs.messages("g") == []


async def test_sequence_tokens_are_optional_and_never_wrong(logs: Logs) -> None:
    await logs.make("g", "s")
    one = [{"timestamp": START_MS, "message": "m"}]
    for token in ({}, {"sequenceToken": "wrong"}):
        result = await logs("PutLogEvents", logGroupName="g", logStreamName="s", logEvents=one, **token)
        assert len(result["nextSequenceToken"]) == 56


async def test_tokens_of_nobody_are_refused(logs: Logs) -> None:
    await logs.make("g", "s")
    for operation, more in (("GetLogEvents", {"logStreamName": "s"}), ("FilterLogEvents", {})):
        for token in (
            "x",
            "f/1/s",
            "bnVsbA==",
            "WzEsMl0=",
            "ä",
            opaque("\ud800"),
            opaque(2**200, "f"),
            opaque(-1, "b"),
        ):
            error = await logs.error(operation, logGroupName="g", nextToken=token, **more)
            assert (error.code, error.message) == ("InvalidParameterException", "The specified nextToken is invalid.")


async def test_a_group_is_named_once(logs: Logs) -> None:
    await logs.make("g", "s")
    for operation, more in (
        ("GetLogEvents", {"logStreamName": "s"}),
        ("FilterLogEvents", {}),
        ("DescribeLogStreams", {}),
    ):
        assert (await logs.error(operation, **more)).code == "InvalidParameterException"
        both = {"logGroupName": "g", "logGroupIdentifier": "g"}
        assert (await logs.error(operation, **both, **more)).code == "InvalidParameterException"
        arn = "arn:aws:logs:us-east-1:000000000000:log-group:g"
        assert await logs(operation, logGroupIdentifier=arn, **more)
    assert (
        await logs.error("FilterLogEvents", logGroupName="g", logStreamNames=["s"], logStreamNamePrefix="s")
    ).code == "InvalidParameterException"
