"""Whatever functions, throttles, reservations, crashes and a full disk do, every accepted event comes to its end."""

import asyncio
import itertools
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from lambent.aws.errors import PlatformFault, throttled
from lambent.invocation.event_queue import EventQueue
from lambent.store.database import Database
from tests.unit.environments.kit import until
from tests.unit.invocation.test_event_queue import FAILURE, SUCCESS, Kit, Reaction, config

NAMES = ("a", "b", "c")
SINK = "arn:aws:lambda:us-east-1:000000000000:function:sink"
MOODS: dict[str, Reaction] = {
    "success": SUCCESS,
    "failure": FAILURE,
    "throttle": throttled("ConcurrentInvocationLimitExceeded"),
    "fault": PlatformFault("the environment was stopped"),
}


@dataclass(frozen=True)
class Accept:
    name: str
    number: int


@dataclass(frozen=True)
class Mood:
    name: str
    mood: str


@dataclass(frozen=True)
class Reserve:
    name: str
    number: int | None


@dataclass(frozen=True)
class Advance:
    seconds: float


@dataclass(frozen=True)
class Crash:
    rounds: int
    """Turns of the loop before it."""


@dataclass(frozen=True)
class Disk:
    full: bool


Step = Accept | Mood | Reserve | Advance | Crash | Disk
names = st.sampled_from(NAMES)
steps = st.one_of(
    st.builds(Accept, names, st.integers(1, 5)),
    st.builds(Accept, names, st.integers(1, 5)),
    st.builds(Mood, names, st.sampled_from(sorted(MOODS))),
    st.builds(Reserve, names, st.none() | st.integers(1, 3)),
    st.builds(Advance, st.sampled_from([0.5, 30, 90, 600])),
    st.builds(Crash, st.integers(0, 40)),
    st.builds(Disk, st.booleans()),
)


@given(plan=st.lists(steps, min_size=3, max_size=15), budget=st.integers(1, 6))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
async def test_every_event_ends_once_or_is_tried_again(plan: list[Step], budget: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = Database.open(Path(folder) / "lambent.db")
        try:
            await play(plan, Kit(SmallDisk(database), budget), budget)  # type: ignore[arg-type]
        finally:
            await database.close()


class SmallDisk:
    """A database that cannot write while its disk is full."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.read = database.read
        self.full = False

    async def write(self, work: Callable[[Connection], Any]) -> Any:
        if self.full:
            raise PlatformFault("The store cannot write: database or disk is full")
        return await self._database.write(work)


async def play(plan: list[Step], kit: Kit, budget: int) -> None:
    disk = cast(SmallDisk, kit.database)
    for name in NAMES:
        kit.functions.add(name, config(on_success=SINK, on_failure=SINK))
    kit.functions.add("sink")
    await kit.events.start()
    sent = itertools.count()
    accepted: list[str] = []
    crashes = 0
    for step in plan:
        match step:
            case Accept():
                await accept(kit, step, sent, accepted)
            case Mood():
                kit.router.reactions[step.name] = [MOODS[step.mood]]
            case Reserve():
                kit.functions.numbers.pop(step.name, None)
                if step.number is not None:
                    kit.functions.numbers[step.name] = step.number
            case Advance() if disk.full:
                await kit.clock.advance(min(step.seconds, 30))
            case Advance():
                await kit.advance(step.seconds)
            case Disk():
                disk.full = step.full
            case Crash():
                crashes += 1
                for _ in range(step.rounds):
                    await asyncio.sleep(0)
                # A server does not start on a full disk.
                disk.full = False
                await crash(kit, budget)
    disk.full = False
    for name in NAMES:
        kit.router.reactions[name] = [SUCCESS]
    for _ in range(8):
        await kit.advance(300)
    await until(lambda: kit.events.worker.idle and kit.events.deliveries.worker.idle)
    for name in (*NAMES, "sink"):
        assert await kit.waiting(name) == []
        assert kit.router.peak.get(name, 0) <= budget
    records = ended(kit)
    assert set(records) == set(accepted)
    assert crashes or max(records.values(), default=1) == 1, "an event ended twice without a crash"


async def accept(kit: Kit, step: Accept, sent: Iterator[int], accepted: list[str]) -> None:
    """All at once; those that are not refused count."""
    request_ids = [f"r-{next(sent)}" for _ in range(step.number)]
    accepts = (kit.accept(step.name, request_id=request_id) for request_id in request_ids)
    results = await asyncio.gather(*accepts, return_exceptions=True)
    for request_id, result in zip(request_ids, results, strict=True):
        if result is None:
            accepted.append(request_id)
        elif not isinstance(result, PlatformFault):
            raise result


async def crash(kit: Kit, budget: int) -> None:
    """The queue ends wherever it is; another run begins on what is in the store, while the handlers of the first are
    still about: harder than a real crash, which ends them."""
    before = kit.events
    await before.close()
    kit.events = EventQueue(
        database=kit.database,
        clock=kit.clock,
        functions=kit.functions,
        resolver=kit.functions,
        router=kit.router,
        caller=kit.caller,
        budget=budget,
    )
    await kit.events.start()


def ended(kit: Kit) -> Counter[str]:
    """How often the record of each event has arrived."""
    found: Counter[str] = Counter()
    for _, name, request in kit.router.seen:
        if name == "sink":
            found[json.loads(request.payload)["requestContext"]["requestId"]] += 1
    return found
