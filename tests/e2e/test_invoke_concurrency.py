"""Many invocations at one time in real sandboxes."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.invoke_kit import Machine, machine_in
from tests.unit.environments.kit import until


@pytest.fixture(params=["process", "native"])
async def machine(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Machine]:
    async with machine_in(tmp_path, request.param) as made:
        yield made


async def test_a_burst_opens_an_environment_for_each_and_later_calls_share_them(machine: Machine) -> None:
    function = machine.deploy(
        """
        import os, time
        state = []
        def handler(event, context):
            time.sleep(event)
            state.append(1)
            return [context.log_stream_name, len(state)]
        """,
        timeout_s=30,
    )
    first = await asyncio.gather(*(machine.result(function, 1) for _ in range(12)))
    assert {name for name, _ in first} == set(dict(first))
    assert len(dict(first)) == 12
    await until(lambda: machine.in_use() == 0)
    again = [await machine.result(function, 0) for _ in range(12)]
    assert {name for name, _ in again} <= set(dict(first))
    assert machine.in_use() == 0


async def test_faults_of_some_invocations_leave_the_others_alone(machine: Machine) -> None:
    function = machine.deploy(
        """
        import os, time
        def handler(event, context):
            if event % 4 == 1:
                os._exit(1)
            if event % 4 == 2:
                time.sleep(60)
            if event % 4 == 3:
                raise ValueError(event)
            return event
        """,
        timeout_s=1,
    )
    calls = [machine.invoke(function, number) for number in range(16)]
    results = await asyncio.gather(*calls)
    kinds = [result.error_type for result in results]
    assert kinds[0::4] == [None] * 4
    assert kinds[1::4] == ["Runtime.ExitError"] * 4
    assert kinds[2::4] == ["Sandbox.Timedout"] * 4
    assert [result.payload for result in results[0::4]] == [b"0", b"4", b"8", b"12"]
    await until(lambda: machine.in_use() == 0)
    reports = [line for line in machine.log.lines if line.startswith("REPORT ")]
    assert len(reports) == 16
    assert sum("\tStatus: timeout" in line for line in reports) == 4
    # What a function reports itself is no failure of its runtime.
    assert sum("\tStatus: error\tError Type: Runtime.ExitError" in line for line in reports) == 4


async def test_each_stream_tells_the_story_of_one_environment_in_order(machine: Machine) -> None:
    function = machine.deploy("def handler(event, context):\n    print('working', event)\n    return event")
    await asyncio.gather(*(machine.invoke(function, number) for number in range(40)))
    await until(lambda: machine.in_use() == 0)
    for stream in machine.log.streams.values():
        kinds = [line.split()[0] for line in stream.lines]
        assert kinds[0] == "INIT_START"
        assert kinds[1:] == ["START", "working", "END", "REPORT"] * ((len(kinds) - 1) // 4)
