"""kill -9 of a writing process, again and again on the same files."""

from tests.places import Place
from tests.unit.store.crashes import acknowledged_writes_survive


async def test_acknowledged_writes_survive_a_hundred_crashes(place: Place) -> None:
    await acknowledged_writes_survive(place, rounds=100)
