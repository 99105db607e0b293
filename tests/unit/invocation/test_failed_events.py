"""What ended without success is kept for a time, shown, sent again and dropped."""

import asyncio

import pytest

from lambent.functions.records import FunctionKey
from lambent.invocation import failed_events
from lambent.invocation.failed_events import FailedEvent
from lambent.store.messages import Holding
from tests.places import Place
from tests.unit.environments.kit import until
from tests.unit.invocation.test_event_queue import FAILURE, QUEUE_ARN, SUCCESS, Kit, config, kit, opened

__all__ = ["kit"]

A = FunctionKey("000000000000", "us-east-1", "a")


async def failed(kit: Kit, key: FunctionKey = A) -> list[FailedEvent]:
    return await kit.events.failed(key, 2000)


async def fail(kit: Kit, *request_ids: str) -> None:
    kit.functions.add("a", config(maximum_retry_attempts=0))
    kit.router.reactions["a"] = [FAILURE]
    for request_id in request_ids:
        await kit.accept(request_id=request_id)
        await kit.idle()


async def test_an_event_that_failed_is_kept_without_any_destination(kit: Kit) -> None:
    kit.router.reactions["a"] = [FAILURE]
    await kit.accept(payload=b'{"a": 1}')
    await kit.idle()
    for _ in range(2):
        await kit.to_next()
    (event,) = await failed(kit)
    assert event == FailedEvent(
        request_id="r-1",
        qualifier=None,
        accepted_ms=event.accepted_ms,
        attempts=3,
        condition="RetriesExhausted",
        ended_ms=event.accepted_ms + 180_000,
        error_type="ValueError",
        error_message="boom",
        size_bytes=8,
    )
    assert await kit.events.counts(A) == (0, 1)


async def test_a_success_is_not_kept(kit: Kit) -> None:
    await kit.accept()
    await kit.idle()
    assert await failed(kit) == []


async def test_what_has_a_destination_is_kept_too(kit: Kit) -> None:
    kit.functions.add("a", config(on_failure=QUEUE_ARN))
    kit.functions.numbers["a"] = 0
    await kit.accept()
    await kit.idle()
    (event,) = await failed(kit)
    assert (event.condition, event.attempts, event.error_type) == ("ZeroReservedConcurrency", 0, None)
    assert len(kit.sent("SendMessage")) == 1


async def test_the_events_of_a_deleted_function_can_be_sent_to_its_successor(kit: Kit) -> None:
    kit.functions.known.clear()
    # Accepted just before the function was deleted.
    kit.functions.add("a")
    kit.functions.add("b")
    resolution = kit.functions.resolve("000000000000", "us-east-1", "a")
    kit.functions.known.pop("a")
    await kit.events.accept(resolution, b"1", "r-1", None)
    await kit.idle()
    (event,) = await failed(kit)
    assert (event.condition, event.error_message) == ("FunctionNotFound", "Function not found: a")
    kit.functions.add("a")
    assert await kit.events.redrive(A) == 1
    await kit.idle()
    assert len(kit.attempts()) == 1


async def test_what_is_sent_again_begins_anew_with_the_same_request_id(kit: Kit) -> None:
    await fail(kit, "r-1", "r-2", "r-3")
    await kit.advance(30_000)
    kit.router.seen.clear()
    kit.functions.add("a")
    assert await kit.events.redrive(A, ["r-1", "r-3", "r-unknown"]) == 2
    await kit.idle()
    assert [each.request_id for each in await failed(kit)] == ["r-2"]
    assert [request.request_id for _, _, request in kit.router.seen] == ["r-1", "r-3"]
    assert {(each.status, each.attempts) for each in await kit.waiting()} == {("retry", 1)}
    assert {each.accepted_ms for each in await kit.waiting()} == {kit.clock.epoch_ms()}
    kit.router.reactions["a"] = [SUCCESS]
    await kit.advance(60)
    assert await kit.events.counts(A) == (0, 1)
    assert await kit.events.redrive(A) == 1
    await kit.idle()
    assert await kit.events.counts(A) == (0, 0)


async def test_a_purge_drops_what_waits_and_what_failed(kit: Kit) -> None:
    await fail(kit, "r-1")
    kit.functions.add("a")
    gate = asyncio.Event()
    kit.router.reactions["a"] = [gate]
    for number in range(30):
        await kit.accept(request_id=f"w-{number}")
    await until(lambda: kit.router.running.get("a") == 4)
    assert {each.status for each in (await kit.waiting())[:3]} <= {"running", "queued"}
    assert sum(each.status == "running" for each in await kit.waiting()) == 4
    assert await kit.events.purge(A, waiting=False) == 1
    assert await kit.events.counts(A) == (30, 0)
    assert await kit.events.purge(A) == 30
    gate.set()
    await kit.idle()
    assert len(kit.attempts()) == 1 + 4, "what ran goes on, nothing else begins"
    assert await kit.events.counts(A) == (0, 0)


async def test_failed_events_survive_a_restart_and_a_reset_drops_them(place: Place) -> None:
    async with opened(place) as first:
        await fail(first, "r-1")
    async with opened(place) as second:
        assert [each.request_id for each in await failed(second)] == ["r-1"]
        await second.events.reset()
        assert await failed(second) == []


async def test_the_last_ones_are_kept(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failed_events, "MAX_EVENTS", 3)
    monkeypatch.setattr(failed_events, "SLACK", 2)
    await fail(kit, *(f"r-{number}" for number in range(5)))
    await until(lambda: not kit.events._failed._trimming)
    kept = [each.request_id for each in await failed(kit)]
    assert kept == ["r-4", "r-3", "r-2", "r-1"][: len(kept)]
    assert 3 <= len(kept) < 3 + 2, "it may have looked just before an event was counted, and dropped early"


async def test_what_is_added_while_it_looks_is_counted(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    failures = kit.events._failed
    await fail(kit, "r-1")
    seen, go_on = asyncio.Event(), asyncio.Event()
    holdings = failures._queue.holdings

    async def slowly(lane: str | None = None) -> dict[str, Holding]:
        found = await holdings(lane)
        seen.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(failures._queue, "holdings", slowly)
    look = asyncio.create_task(failures._look())
    await seen.wait()
    await fail(kit, "r-2", "r-3")
    go_on.set()
    await look
    assert [each.messages for each in failures._held.values()] == [3]


async def test_large_events_and_old_ones_go_first(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failed_events, "MAX_BYTES", 25)
    await fail(kit)
    for number in range(4):
        await kit.accept(request_id=f"r-{number}", payload=b'"12345678"')
        await kit.idle()
        await until(lambda: not kit.events._failed._trimming)
        await kit.advance(24 * 3600)
    assert [each.request_id for each in await failed(kit)] == ["r-3", "r-2"]
    await kit.advance(12.5 * 24 * 3600)
    assert [each.request_id for each in await failed(kit)] == ["r-3"]
    await kit.advance(24 * 3600)
    assert await failed(kit) == []


async def test_all_functions_together_have_a_limit_that_the_largest_pays_for(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failed_events, "MAX_TOTAL_BYTES", 50)
    await fail(kit, "r-0")
    kit.functions.add("b", config(maximum_retry_attempts=0))
    kit.router.reactions["b"] = [FAILURE]
    for number in range(6):
        await kit.accept("b", request_id=f"b-{number}", payload=b'"12345678"')
        await kit.idle()
        await until(lambda: not kit.events._failed._trimming)
    assert len(await failed(kit)) == 1
    assert [each.request_id for each in await failed(kit, A._replace(name="b"))] == ["b-5", "b-4", "b-3"]
