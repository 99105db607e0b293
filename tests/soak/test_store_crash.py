"""kill -9 of a writing process, again and again on the same files."""

from pathlib import Path

from tests.unit.store.crashes import acknowledged_writes_survive


async def test_acknowledged_writes_survive_a_hundred_crashes(tmp_path: Path) -> None:
    await acknowledged_writes_survive(tmp_path, rounds=100)
