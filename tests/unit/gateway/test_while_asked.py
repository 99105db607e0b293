"""Work that is done only as long as its client is there."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from lambent.gateway.body import BodyReader, Budget, Disconnected

SOON_S = 5


class Client:
    """Sends its body, and hangs up when it is told to."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()

    def reader(self) -> BodyReader:
        return BodyReader(self.messages.get, {}, Budget())

    def hang_up(self) -> None:
        self.messages.put_nowait({"type": "http.request", "body": b""})
        self.messages.put_nowait({"type": "http.disconnect"})


async def test_work_whose_client_hangs_up_is_cancelled() -> None:
    client = Client()
    cancelled = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    asking = asyncio.ensure_future(client.reader().while_asked(work()))
    client.hang_up()
    with pytest.raises(Disconnected):
        await asyncio.wait_for(asking, SOON_S)
    assert cancelled.is_set()


async def test_work_whose_client_stays_is_answered_and_its_errors_too() -> None:
    async def later() -> int:
        for _ in range(3):
            await asyncio.sleep(0)
        return 3

    async def fail() -> int:
        raise LookupError

    assert await Client().reader().while_asked(later()) == 3
    with pytest.raises(LookupError):
        await Client().reader().while_asked(fail())


async def test_who_is_cancelled_cancels_its_work() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    asking = asyncio.ensure_future(Client().reader().while_asked(work()))
    for _ in range(5):
        await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait({asking})
    assert asking.cancelled()
    assert ended.is_set()
