"""Whatever functions, throttles, reservations and crashes do, every accepted event comes to the end that it has to."""

import asyncio
import json
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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


Step = Accept | Mood | Reserve | Advance | Crash
names = st.sampled_from(NAMES)
steps = st.one_of(
    st.builds(Accept, names, st.integers(1, 5)),
    st.builds(Accept, names, st.integers(1, 5)),
    st.builds(Mood, names, st.sampled_from(sorted(MOODS))),
    st.builds(Reserve, names, st.none() | st.integers(1, 3)),
    st.builds(Advance, st.sampled_from([0.5, 30, 90, 600])),
    st.builds(Crash, st.integers(0, 40)),
)


@given(plan=st.lists(steps, min_size=3, max_size=15), budget=st.integers(1, 6))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
async def test_every_event_ends_once_or_is_tried_again(plan: list[Step], budget: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = Database.open(Path(folder) / "lambent.db")
        try:
            await play(plan, Kit(database, budget), database, budget)
        finally:
            await database.close()


async def play(plan: list[Step], kit: Kit, database: Database, budget: int) -> None:
    for name in NAMES:
        kit.functions.add(name, config(on_success=SINK, on_failure=SINK))
    kit.functions.add("sink")
    await kit.events.start()
    accepted: list[str] = []
    crashes = 0
    for step in plan:
        match step:
            case Accept():
                for _ in range(step.number):
                    accepted.append(f"r-{len(accepted)}")
                    await kit.accept(step.name, request_id=accepted[-1])
            case Mood():
                kit.router.reactions[step.name] = [MOODS[step.mood]]
            case Reserve():
                kit.functions.numbers.pop(step.name, None)
                if step.number is not None:
                    kit.functions.numbers[step.name] = step.number
            case Advance():
                await kit.advance(step.seconds)
            case Crash():
                crashes += 1
                for _ in range(step.rounds):
                    await asyncio.sleep(0)
                await crash(kit, database, budget)
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


async def crash(kit: Kit, database: Database, budget: int) -> None:
    """The queue ends wherever it is; another run begins on what is in the store, while the handlers of the first are
    still about: harder than a real crash, which ends them."""
    before = kit.events
    await before.close()
    kit.events = EventQueue(
        database=database,
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
