"""`/_lambent/clock`: what it refuses, what it waits for, and what a restart finds."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lambent import development_clock
from lambent.aws.errors import ApiError
from lambent.cli.client import Credentials, sign
from lambent.core.clock import VirtualClock
from lambent.development_clock import FARTHEST_S, PATH, DevelopmentClock
from lambent.gateway.http import HttpRequest
from lambent.store.datadir import DataDir, DataDirError
from lambent.testing.manual_clock import START, settle


@dataclass
class Work:
    """Begins at each of its times, and goes on until the test lets it end."""

    clock: VirtualClock
    begun: int = 0
    running: int = 0
    begins_at_s: float | None = None
    ends: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def idle(self) -> bool:
        return not (self.running or self.starting)

    @property
    def starting(self) -> bool:
        return self.begins_at_s is not None and self.begins_at_s <= self.clock.monotonic()

    async def run(self, *waits_s: float) -> None:
        for wait_s in waits_s:
            self.begins_at_s = self.clock.monotonic() + wait_s
            await self.clock.sleep(wait_s)
            # As after a look into the store.
            await asyncio.sleep(0.02)
            self.begins_at_s = None
            self.begun += 1
            self.running += 1
            await self.ends.wait()
            self.running -= 1


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[DataDir]:
    opened = DataDir.open(tmp_path / "data")
    yield opened
    opened.close()


def request(method: str, body: bytes = b"", *, signed: bool = True) -> HttpRequest:
    headers = sign(Credentials("test", "test"), START, "lambda", method, "localhost", PATH, "", body, {})
    return HttpRequest(method, PATH, "", headers if signed else {}, body, "http://localhost")


async def answer(clock: DevelopmentClock, sent: object) -> Any:
    response = await asyncio.wait_for(clock.route(request("POST", json.dumps(sent).encode())), 30)
    assert isinstance(response.body, bytes)
    return json.loads(response.body)


async def test_an_advance_waits_until_what_became_due_has_ended(data_dir: DataDir) -> None:
    clock = VirtualClock()
    work = Work(clock)
    task = asyncio.create_task(work.run(60, 120))
    work.ends.set()
    told = await answer(DevelopmentClock(clock, data_dir, {"Attempts": work}), {"Seconds": 181})
    assert (told["Started"], told["UnderWay"], told["AheadSeconds"]) == ({"Attempts": 2}, 0, 181)
    await task


async def test_what_does_not_end_in_time_is_left_running(data_dir: DataDir) -> None:
    clock = VirtualClock()
    work = Work(clock)
    task = asyncio.create_task(work.run(60, 120))
    told = await answer(DevelopmentClock(clock, data_dir, {"Attempts": work}), {"Seconds": 3600, "WaitSeconds": 0.01})
    assert (told["Started"], told["UnderWay"], told["AheadSeconds"]) == ({"Attempts": 1}, 1, 3600)
    task.cancel()


async def test_what_becomes_due_has_begun_also_where_nothing_is_waited_for(data_dir: DataDir) -> None:
    clock = VirtualClock()
    stuck, other = Work(clock), Work(clock)
    tasks = [asyncio.create_task(stuck.run(1)), asyncio.create_task(other.run(60, 60))]
    other.ends.set()
    route = DevelopmentClock(clock, data_dir, {"Stuck": stuck, "Attempts": other})
    told = await answer(route, {"Seconds": 130, "WaitSeconds": 0})
    assert told["Started"] == {"Stuck": 1, "Attempts": 2}
    for task in tasks:
        task.cancel()


async def test_the_time_is_on_disk_before_it_moves(data_dir: DataDir) -> None:
    clock = VirtualClock(1000)
    found: list[int] = []

    async def look() -> None:
        await clock.sleep(60)
        found.append(development_clock.stored(data_dir))

    task = asyncio.create_task(look())
    await settle()
    route = DevelopmentClock(clock, data_dir, {})
    await asyncio.gather(answer(route, {"Seconds": 100}), answer(route, {"Seconds": 100.5}))
    assert found in ([101_000], [101_500])
    assert development_clock.stored(data_dir) == clock.ahead_ms == 201_500
    await task


async def test_get_tells_the_time_alone(data_dir: DataDir) -> None:
    route = DevelopmentClock(VirtualClock(2500), data_dir, {})
    response = await route.route(request("GET"))
    assert isinstance(response.body, bytes)
    assert json.loads(response.body).keys() == {"Now", "AheadSeconds"}
    assert json.loads(response.body)["AheadSeconds"] == 2.5


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"[]",
        b"{}",
        b'"2m"',
        b'{"Seconds": "much"}',
        b'{"Seconds": null}',
        b'{"Seconds": -1}',
        b'{"Seconds": 1e300}',
        b'{"Seconds": "nan"}',
        b'{"Seconds": 1, "WaitSeconds": -1}',
        b'{"Seconds": 1, "WaitSeconds": 1e9}',
    ],
)
async def test_bad_input_is_refused_and_moves_nothing(data_dir: DataDir, sent: bytes) -> None:
    clock = VirtualClock()
    with pytest.raises(ApiError) as refused:
        await DevelopmentClock(clock, data_dir, {}).route(request("POST", sent))
    assert (refused.value.code, refused.value.status) == ("InvalidParameterValueException", 400)
    assert (clock.ahead_ms, development_clock.stored(data_dir)) == (0, 0)


async def test_a_request_that_is_not_signed_is_refused(data_dir: DataDir) -> None:
    route = DevelopmentClock(VirtualClock(), data_dir, {})
    for method in ("GET", "POST"):
        with pytest.raises(ApiError, match="Missing Authentication Token"):
            await route.route(request(method, b'{"Seconds": 1}', signed=False))
    with pytest.raises(ApiError, match="POST moves it"):
        await route.route(request("DELETE"))


async def test_all_advances_together_have_an_end(data_dir: DataDir) -> None:
    clock = VirtualClock((FARTHEST_S - 10) * 1000)
    route = DevelopmentClock(clock, data_dir, {})
    await answer(route, {"Seconds": 10})
    assert clock.now().year > 2100
    with pytest.raises(ApiError, match="at most"):
        await answer(route, {"Seconds": 1})


@pytest.mark.parametrize("text", ["soon", "-5", "1.5", "9" * 30, ""])
def test_a_broken_file_is_said_so(data_dir: DataDir, text: str) -> None:
    (data_dir.root / "clock").write_text(text)
    with pytest.raises(DataDirError, match="does not hold by how many"):
        development_clock.stored(data_dir)
