"""What the store keeps to, on every database."""

from collections.abc import AsyncIterator

import pytest

from lambent.store.database import Database
from tests.places import Place


@pytest.fixture
async def database(place: Place) -> AsyncIterator[Database]:
    database = place.open()
    yield database
    await database.close()
