"""A broker on each database, at a time that stands still."""

from collections.abc import AsyncIterator

import pytest

from lambent.services.sqs.broker import Broker
from lambent.store.database import Database
from lambent.testing.manual_clock import ManualClock
from tests.contract.sqs.broker.kit import Desk
from tests.places import Place


@pytest.fixture
async def database(place: Place) -> AsyncIterator[Database]:
    database = place.open()
    yield database
    await database.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def desk(database: Database, clock: ManualClock) -> AsyncIterator[Desk]:
    desk = Desk(Broker(database, clock), database, clock)
    yield desk
    await desk.broker.close()
