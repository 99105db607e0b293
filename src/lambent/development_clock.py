"""`/_lambent/clock`: the time by which events are retried and grow old, and its advance. Only with `--virtual-clock`.

Owns how far that time is ahead, also over a restart: what is stored bears its stamps, and must not lie in the future.
What runs is no concern of it: deadlines, sandboxes, credentials, logs and time-outs are of the real clock.
"""

import asyncio
import math
from collections.abc import Mapping
from datetime import UTC
from pathlib import Path
from typing import Final, Protocol

import orjson

from lambent.aws.errors import ApiError, PlatformFault
from lambent.core.clock import VirtualClock
from lambent.gateway.http import HttpRequest, HttpResponse, RouteHandler
from lambent.gateway.sigv4 import credential_of
from lambent.store.datadir import DataDir, DataDirError
from lambent.store.files import write_durably

PATH: Final = "/_lambent/clock"
FARTHEST_S: Final = 100 * 366 * 86_400
"""So far ahead of real time all in all: dates end with the year 9999."""
WAIT_S: Final = 10.0
"""In all, for what becomes due to end; what takes longer is left running."""
START_S: Final = 2.0
"""At each stop, for what becomes due to begin, whatever is still running."""
LONGEST_WAIT_S: Final = 900.0
LOOK_EVERY_S: Final = 0.002
TURNS: Final = 5
"""Of the event loop: what was woken by then has begun or sleeps again."""


class Timed(Protocol):
    """What lives by this time."""

    @property
    def idle(self) -> bool:
        """Whether nothing is under way and nothing can begin now."""
        ...

    @property
    def starting(self) -> bool:
        """Whether anything is about to begin that need not wait for an end."""
        ...

    @property
    def begun(self) -> int:
        """How many pieces of work have ever begun."""
        ...

    @property
    def running(self) -> int: ...


class DevelopmentClock:
    """`timed`: by a name in the plural, in capitals as in replies of AWS."""

    def __init__(self, clock: VirtualClock, data_dir: DataDir, timed: Mapping[str, Timed]) -> None:
        self._clock = clock
        self._data_dir = data_dir
        self._timed = timed
        self._moving = asyncio.Lock()

    def routes(self) -> dict[str, RouteHandler]:
        return {PATH: self.route}

    async def route(self, request: HttpRequest) -> HttpResponse:
        """Signed like a call of the API. GET: the time. POST `{"Seconds": 120, "WaitSeconds": 10}`: go on by that."""
        credential_of(request.headers, request.query)
        if request.method == "GET":
            return self._reply({})
        if request.method != "POST":
            raise ApiError("MethodNotAllowedException", f"GET {PATH} tells the time, POST moves it.", status=405)
        try:
            sent = orjson.loads(request.body)
            seconds, wait_s = float(sent["Seconds"]), float(sent.get("WaitSeconds", WAIT_S))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise _invalid('The body is JSON such as {"Seconds": 120}.') from None
        if not seconds >= 0:
            raise _invalid("Seconds is a number of 0 or more: time does not go back.")
        if not 0 <= wait_s <= LONGEST_WAIT_S:
            raise _invalid(f"WaitSeconds is a number from 0 to {LONGEST_WAIT_S:g}.")
        async with self._moving:
            return await self._advance(seconds, wait_s)

    async def _advance(self, seconds: float, wait_s: float) -> HttpResponse:
        before = self._begun()
        # First on disk: after a crash amid the steps nothing that is stored lies in the future.
        if self._clock.ahead_ms / 1000 + seconds > FARTHEST_S:
            raise _invalid(f"The clock is at most {FARTHEST_S} seconds ahead.")
        ahead_ms = self._clock.ahead_ms + math.ceil(seconds * 1000)
        try:
            await asyncio.to_thread(store, self._data_dir, ahead_ms)
        except OSError as error:
            raise PlatformFault(f"The new time could not be stored: {error}") from error
        end_s = asyncio.get_running_loop().time() + wait_s
        await self._clock.advance(seconds, lambda: self._settle(end_s))
        started = {name: begun - before[name] for name, begun in self._begun().items()}
        return self._reply({"Started": started, "UnderWay": sum(each.running for each in self._timed.values())})

    async def _settle(self, end_s: float) -> None:
        for _ in range(TURNS):
            await asyncio.sleep(0)
        start_by_s = asyncio.get_running_loop().time() + START_S
        # Asked again and again, so that what lives by this time need not tell anybody.
        while not self._settled(asyncio.get_running_loop().time(), end_s, start_by_s):  # noqa: ASYNC110
            await asyncio.sleep(LOOK_EVERY_S)

    def _settled(self, now_s: float, end_s: float, start_by_s: float) -> bool:
        if now_s < end_s:
            return all(each.idle for each in self._timed.values())
        return now_s >= start_by_s or not any(each.starting for each in self._timed.values())

    def _begun(self) -> dict[str, int]:
        return {name: each.begun for name, each in self._timed.items()}

    def _reply(self, more: dict[str, object]) -> HttpResponse:
        return HttpResponse(200, [("Content-Type", "application/json")], orjson.dumps(self.as_json() | more))

    def as_json(self) -> dict[str, object]:
        now = self._clock.now().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"Now": now, "AheadSeconds": self._clock.ahead_ms / 1000}


def stored(data_dir: DataDir) -> int:
    """By how many milliseconds the time of this data directory is ahead. Raises DataDirError."""
    try:
        text = _file(data_dir).read_text().strip()
    except FileNotFoundError:
        return 0
    if not (text.isascii() and text.isdecimal() and int(text) <= FARTHEST_S * 1000):
        raise DataDirError(f"{_file(data_dir)} does not hold by how many milliseconds the time of events is ahead.")
    return int(text)


def store(data_dir: DataDir, ahead_ms: int) -> None:
    write_durably(_file(data_dir), f"{ahead_ms}\n".encode())


def _file(data_dir: DataDir) -> Path:
    return data_dir.root / "clock"


def _invalid(message: str) -> ApiError:
    return ApiError("InvalidParameterValueException", message, status=400)
