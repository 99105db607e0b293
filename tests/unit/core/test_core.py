"""Identifiers, state tables and supervised work."""

import asyncio
import logging
import subprocess
import sys
import uuid
from enum import StrEnum

import pytest

from lambent.core import tasks
from lambent.core.ids import hex32, hex_digits, request_id, uuid4
from lambent.core.lifecycle import IllegalTransition, step


class Light(StrEnum):
    RED = "red"
    GREEN = "green"


NEXT = {Light.RED: frozenset({Light.GREEN}), Light.GREEN: frozenset[Light]()}


def test_digits_drawn_ahead_are_given_once_and_not_to_a_fork() -> None:
    drawn = [hex_digits(40) for _ in range(500)]
    assert len(set(drawn)) == 500
    assert {len(each) for each in drawn} == {40}
    forked = "import os, lambent.core.ids as ids; ids.hex_digits(8); os.fork() or print(ids.hex_digits(40), flush=True)"
    printed = subprocess.run(
        [sys.executable, "-c", f"{forked} or os._exit(0); print(ids.hex_digits(40))"],
        stdout=subprocess.PIPE, text=True, check=True, timeout=20,
    ).stdout  # fmt: skip
    both = "".join(printed.split())
    assert len(both) == 80
    assert both[:40] != both[40:]


def test_a_request_id_is_a_uuid_of_version_4() -> None:
    assert {uuid.UUID(request_id()).version for _ in range(300)} == {4}


def test_uuid4_is_a_random_uuid_of_version_4() -> None:
    made = {uuid4() for _ in range(200)}
    assert len(made) == 200
    for text in made:
        parsed = uuid.UUID(text)
        assert str(parsed) == text
        assert parsed.version == 4
        assert parsed.variant == uuid.RFC_4122


def test_hex32_has_32_hexadecimal_digits() -> None:
    assert len(hex32()) == 32
    int(hex32(), 16)


def test_a_step_in_the_table_returns_its_target() -> None:
    assert step(NEXT, Light.RED, Light.GREEN) is Light.GREEN


@pytest.mark.parametrize(("current", "target"), [(Light.GREEN, Light.RED), (Light.RED, Light.RED)])
def test_a_step_that_the_table_lacks_is_refused(current: Light, target: Light) -> None:
    with pytest.raises(IllegalTransition, match=f"{current} -> {target}"):
        step(NEXT, current, target)


async def test_supervised_work_starts_again_after_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    runs = 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs < 3:
            raise ValueError("broken")

    with caplog.at_level(logging.ERROR):
        await asyncio.wait_for(tasks.supervise("work", work, first_pause_s=0.001), timeout=5)
    assert runs == 3
    assert len([r for r in caplog.records if "work failed" in r.message]) == 2


async def test_a_detached_failure_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ValueError("broken")

    with caplog.at_level(logging.ERROR):
        task = tasks.detach("loose end", fail())
        await asyncio.wait({task}, timeout=5)
        await tasks.drain(1)
    assert any("loose end failed" in r.message for r in caplog.records)


async def test_drain_cancels_what_does_not_end_in_time() -> None:
    started = asyncio.Event()

    async def forever() -> None:
        started.set()
        await asyncio.Event().wait()

    task = tasks.detach("forever", forever())
    await asyncio.wait_for(started.wait(), timeout=5)
    await tasks.drain(0.01)
    assert task.cancelled()
