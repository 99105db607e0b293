"""Sessions of STS: one key has a bounded number of them, in memory and in the database."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from lambent.aws.errors import ApiError, PlatformFault
from lambent.aws.keys import KnownKey
from lambent.aws.service import CallContext
from lambent.gateway.keys import KnownKeys
from lambent.services.sts import store
from lambent.services.sts.service import REMEMBERED, StsService
from lambent.store.database import Database
from lambent.testing.manual_clock import ManualClock
from lambent.testing.scripted_caller import ScriptedCaller
from tests.places import Place

ACCOUNT = "123456789012"
MOST = 3


@dataclass(frozen=True, slots=True)
class Sessions:
    service: StsService
    keys: KnownKeys
    clock: ManualClock
    database: Database

    async def get(self, access_key_id: str, seconds: int = 900) -> str:
        context = CallContext(
            account=ACCOUNT,
            region="us-east-1",
            request_id="1",
            identity=self.keys.identity(access_key_id),
            base_url="http://localhost",
        )
        reply = await self.service.get_session_token(context, {"DurationSeconds": seconds})
        return str(reply["Credentials"]["AccessKeyId"])

    async def rows(self) -> set[str]:
        return set(await self.database.read(store.load))


@pytest.fixture
async def sessions(place: Place) -> AsyncIterator[Sessions]:
    clock = ManualClock(datetime(2026, 11, 21, tzinfo=UTC))
    keys = KnownKeys(clock)
    for name in ("one", "two"):
        keys.learn(f"ASIA{name}", KnownKey(ACCOUNT, f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/{name}", f"A:{name}"))
    database = place.open()
    yield Sessions(
        StsService(database, clock, keys, ScriptedCaller(), b"of this test", live_sessions=MOST), keys, clock, database
    )
    await database.close()


async def test_one_environment_has_a_bounded_number_of_sessions(sessions: Sessions) -> None:
    first = await sessions.get("ASIAone")
    # Also got with one of its own.
    chained = {await sessions.get(first, 3600) for _ in range(MOST - 1)}
    for key in ("ASIAone", first):
        with pytest.raises(ApiError) as raised:
            await sessions.get(key)
        error = raised.value
        assert (error.code, error.message, error.status) == ("Throttling", "Rate exceeded", 400)
    assert await sessions.rows() == {first, *chained}
    # Others go on, and so does who is believed to be an account.
    await sessions.get("ASIAtwo")
    for _ in range(MOST + 1):
        await sessions.get(ACCOUNT)


async def test_expired_sessions_make_room_and_leave_no_row(sessions: Sessions) -> None:
    short = [await sessions.get("ASIAone") for _ in range(MOST - 1)]
    long = await sessions.get("ASIAone", 3600)
    await sessions.clock.advance(timedelta(seconds=901).total_seconds())
    new = [await sessions.get("ASIAone", 3600) for _ in range(MOST - 1)]
    assert await sessions.rows() == {long, *new}
    assert [sessions.keys.find(key) for key in short] == [None] * len(short)
    with pytest.raises(ApiError, match="Rate exceeded"):
        await sessions.get("ASIAone")


async def test_what_is_forgotten_after_a_week_is_not_counted_any_more(sessions: Sessions) -> None:
    old = [await sessions.get("ASIAone") for _ in range(MOST)]
    await sessions.clock.advance((REMEMBERED + timedelta(seconds=901)).total_seconds())
    other = await sessions.get("ASIAtwo")
    assert await sessions.rows() == {other}
    assert not any(map(sessions.keys.find, old))
    assert len(sessions.service._bound) == 1


async def test_a_session_that_could_not_be_stored_is_not_counted(sessions: Sessions) -> None:
    await sessions.database.close()
    for _ in range(MOST + 1):
        with pytest.raises(PlatformFault):
            await sessions.get("ASIAone")
    assert len(sessions.service._bound) == 0
