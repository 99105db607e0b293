"""kill -9 in the middle of writing; `tests/soak` does the same many times."""

from pathlib import Path

from tests.places import Place
from tests.unit.store.crashes import acknowledged_writes_survive


async def test_acknowledged_writes_survive_kill_9(tmp_path: Path) -> None:
    await acknowledged_writes_survive(Place(tmp_path / "lambent.db"), rounds=3)
