"""Names of files: who asks while others get theirs is served with them, and fails alone."""

import asyncio
import os
import threading
from pathlib import Path

import pytest

from lambent.services.s3.names import Names


async def test_a_name_that_cannot_be_given_fails_alone(tmp_path: Path) -> None:
    names = Names(tmp_path, 1)
    loop = asyncio.get_running_loop()
    entered, go_on = threading.Event(), threading.Event()

    def slowly(path: Path) -> None:
        entered.set()
        assert go_on.wait(10)
        path.write_bytes(b"first")

    def never(path: Path) -> None:
        raise FileNotFoundError(2, os.strerror(2), str(path))

    asked: list[asyncio.Future[str]] = [loop.create_future() for _ in range(4)]
    leading = loop.run_in_executor(None, names.give, slowly, asked[0])
    assert await asyncio.to_thread(entered.wait, 10)
    # These find somebody at work, and do not wait.
    names.give(lambda path: path.touch(), asked[1])
    names.give(never, asked[2])
    names.give(lambda path: path.touch(), asked[3])
    go_on.set()
    async with asyncio.timeout(10):
        await leading
        first, second, third = await asked[0], await asked[1], await asked[3]
        with pytest.raises(FileNotFoundError):
            await asked[2]
    assert names.path(first).read_bytes() == b"first"
    assert names.path(second).exists()
    assert names.path(third).exists()
    assert len({first, second, third}) == 3


async def test_without_a_folder_nothing_gets_a_name_and_later_all_do(tmp_path: Path) -> None:
    root = tmp_path / "s3"
    names = Names(root, 1)
    loop = asyncio.get_running_loop()
    failed, named = loop.create_future(), loop.create_future()
    names.give(lambda path: path.touch(), failed)
    async with asyncio.timeout(10):
        with pytest.raises(FileNotFoundError):
            await failed
        root.mkdir()
        names.give(lambda path: path.touch(), named)
        assert names.path(await named).exists()
