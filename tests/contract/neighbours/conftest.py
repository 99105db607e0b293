"""One gateway with its neighbours for the tests of a module: moto takes two seconds to start."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest
import uvloop

from lambent.aws.service import CallContext, Parameters, Result, Service
from lambent.gateway.app import Gateway
from lambent.gateway.caller import InProcessCaller
from lambent.gateway.elsewhere import Elsewhere
from lambent.gateway.keys import KnownKeys
from lambent.gateway.server import HttpServer
from lambent.services.neighbours.iam import IamOverRestarts
from lambent.services.neighbours.neighbours import Neighbours
from lambent.services.sts.service import StsService
from lambent.store.database import Database
from lambent.store.vault import CARRIED_AS, Vault
from lambent.testing.manual_clock import ManualClock
from lambent.testing.scripted_caller import ScriptedCaller
from lambent.testing.served import http_client

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class World:
    loop: asyncio.AbstractEventLoop
    stop: asyncio.Event
    port: int
    neighbours: Neighbours
    caller: InProcessCaller
    delivered: ScriptedCaller
    """What moto's services deliver to queues and functions."""
    clock: ManualClock
    root: Path

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Await `work` on the loop of the gateway."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def client(self, service: str, **session: str) -> Any:
        return http_client(service, self.port, **session)


async def get_function(context: CallContext, parameters: Parameters) -> Result:
    return {"Configuration": {"FunctionName": parameters["FunctionName"], "Role": context.identity.arn}}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    scratch = tmp_path_factory.mktemp("run")
    started: list[World] = []
    ready = threading.Event()

    async def serve() -> None:
        clock = ManualClock(datetime.now(UTC))
        keys = KnownKeys(clock)
        database = Database.open(scratch / "lambent.db")
        database.carry(**{CARRIED_AS: Vault(b"5a" * 32)})
        neighbours = Neighbours(scratch, IamOverRestarts(database, clock, keys))
        neighbours.load()
        elsewhere = Elsewhere(neighbours)
        neighbours.caller = delivered = ScriptedCaller()
        caller = InProcessCaller(elsewhere)
        sts = StsService(database, clock, keys, caller, b"of this test")
        sts.load()
        services = {
            "lambda": Service("lambda", {"GetFunction": get_function}),
            "sts": Service("sts", sts.operations(), shared=True),
        }
        gateway = Gateway(services, elsewhere=elsewhere, keys=keys)
        caller.apis = gateway.apis
        server = HttpServer()
        listener = await server.listen(gateway.public(), "127.0.0.1", 0)
        stop = asyncio.Event()
        started.append(
            World(asyncio.get_running_loop(), stop, listener.port, neighbours, caller, delivered, clock, scratch)
        )
        ready.set()
        await stop.wait()
        await server.close(1)
        await neighbours.close()
        await database.close()

    thread = threading.Thread(target=lambda: uvloop.run(serve()), name="gateway")
    thread.start()
    assert ready.wait(30)
    yield started[0]
    started[0].loop.call_soon_threadsafe(started[0].stop.set)
    thread.join(30)
