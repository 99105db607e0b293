"""Pages of any size, in any direction, over any mixture of chunks and unstored events: each event once, in order."""

import random
from typing import Any

import pytest

from lambent.testing.manual_clock import START
from tests.unit.services.logs.conftest import Logs

START_MS = int(START.timestamp() * 1000)


async def fill(logs: Logs, choose: random.Random) -> dict[str, list[tuple[int, str]]]:
    """Events of up to three streams by stream, in page order: by time, then as they came."""
    written: dict[str, list[tuple[int, str]]] = {}
    await logs.make("g", "put")
    streams = {name: logs.open("g", name) for name in ("a", "b")}
    number = 0
    for _ in range(choose.randint(1, 12)):
        kind = choose.choice(["put", "a", "b", "flush"])
        if kind == "flush":
            await logs.service.sink.flush()
            continue
        stamps = sorted(START_MS - choose.randint(0, 30) for _ in range(choose.randint(1, 6)))
        messages = [f"{kind} {number + index}" for index in range(len(stamps))]
        number += len(stamps)
        written.setdefault(kind, []).extend(zip(stamps, messages, strict=True))
        if kind == "put":
            events = [{"timestamp": at, "message": text} for at, text in zip(stamps, messages, strict=True)]
            await logs("PutLogEvents", logGroupName="g", logStreamName="put", logEvents=events)
        else:
            for at, text in zip(stamps, messages, strict=True):
                streams[kind].write(at, text)
    for events_of_one in written.values():
        events_of_one.sort(key=lambda event: event[0])
    return written


@pytest.mark.parametrize("seed", range(12))
async def test_every_walk_gives_each_event_once_and_in_order(logs: Logs, seed: int) -> None:
    choose = random.Random(seed)
    written = await fill(logs, choose)
    limit = choose.randint(1, 7)
    everything = sorted((event for events in written.values() for event in events), key=lambda event: event[0])

    forward = await logs.messages("g", limit=limit)
    assert sorted(forward) == sorted(text for _, text in everything)
    times = {text: at for at, text in everything}
    assert [times[text] for text in forward] == [at for at, _ in everything]
    assert await logs.messages("g", limit=limit, startFromHead=False) == forward[::-1]

    for stream, events in written.items():
        expected = [text for _, text in events]
        assert [text for text in forward if text.startswith(stream)] == expected
        assert await walk(logs, stream, limit, "nextForwardToken", startFromHead=True) == expected
        assert await walk(logs, stream, limit, "nextBackwardToken") == expected


async def walk(logs: Logs, stream: str, limit: int, direction: str, **parameters: Any) -> list[str]:
    """GetLogEvents from page to page until a token stays the same."""
    found: list[str] = []
    for _ in range(100):
        page = await logs("GetLogEvents", logGroupName="g", logStreamName=stream, limit=limit, **parameters)
        messages = [event["message"] for event in page["events"]]
        found = found + messages if direction == "nextForwardToken" else messages + found
        if page[direction] == parameters.get("nextToken"):
            return found
        parameters["nextToken"] = page[direction]
    raise AssertionError("the walk does not end")
