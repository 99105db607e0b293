"""Hundreds of restores from one template: nothing grows."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.census import census, eventually
from tests.e2e.snapshot_kit import Studio, studio

ROUNDS = 300


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[Studio]:
    async with studio(tmp_path) as each:
        yield each


async def test_restores_leave_no_descriptor_process_mount_or_group(made: Studio) -> None:
    source = "data = bytearray(1 << 20)"
    with census() as counted:
        template, _ = await made.template(source)
        clone, _ = await made.clone(template, source)
        await clone.stop()
        before = len(os.listdir("/proc/self/fd")), len(counted.processes()), counted.sandbox_cgroups()
        for _ in range(ROUNDS):
            clone, _ = await made.clone(template, source)
            await clone.stop()
        assert eventually(lambda: len(counted.processes()), timeout_s=5, until=lambda n: n == before[1]) == before[1]
        assert (len(os.listdir("/proc/self/fd")), len(counted.processes()), counted.sandbox_cgroups()) == before
        await template.stop()
        assert eventually(counted.processes, timeout_s=5) == []
        assert counted.mounts() == []
