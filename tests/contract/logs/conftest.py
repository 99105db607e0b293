"""The logs service behind the gateway: in this process for boto3, on a loopback port for commands."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lambent.aws.errors import not_found
from lambent.aws.service import CallContext, Parameters, Result, Service
from lambent.core.clock import SystemClock
from lambent.gateway.app import Gateway
from lambent.gateway.server import HttpServer
from lambent.services.logs.service import LogsService
from lambent.store.database import Database
from lambent.testing.aws_client import AsyncClient, aws_client


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[LogsService]:
    database = Database.open(tmp_path / "lambent.db")
    logs = LogsService(database, SystemClock())
    logs.start()
    yield logs
    await logs.close()
    await database.close()


@pytest.fixture
async def client(service: LogsService) -> AsyncIterator[AsyncClient]:
    async with aws_client("logs", service.operations(), validate=True) as made:
        yield made


@dataclass
class LiveServer:
    """A server on its own thread and loop."""

    url: str
    service: LogsService
    loop: asyncio.AbstractEventLoop
    account: str = "000000000000"

    def write(self, group: str, stream: str, *lines: tuple[int, str]) -> None:
        """As an environment would."""

        def write() -> None:
            opened = self.service.sink.open(account=self.account, region="us-east-1", group=group, stream=stream)
            for stamp, message in lines:
                opened.write(stamp, message)
            opened.close()

        self.loop.call_soon_threadsafe(write)


async def _get_function_configuration(context: CallContext, parameters: Parameters) -> Result:
    name = parameters["FunctionName"]
    if name == "custom":
        return {"FunctionName": name, "LoggingConfig": {"LogGroup": "shared"}}
    if name not in {"hello", "quiet"}:
        raise not_found(f"Function not found: arn:aws:lambda:us-east-1:000000000000:function:{name}")
    return {"FunctionName": name}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LiveServer]:
    ready: list[LiveServer] = []
    started, ended = threading.Event(), threading.Event()

    async def run() -> None:
        database = Database.open(tmp_path / "lambent.db")
        logs = LogsService(database, SystemClock())
        logs.start()
        functions: Any = {"GetFunctionConfiguration": _get_function_configuration}
        services = {"logs": Service("logs", logs.operations()), "lambda": Service("lambda", functions)}
        http = HttpServer()
        listener = await http.listen(Gateway(services).public(), "127.0.0.1", 0)
        ready.append(LiveServer(f"http://127.0.0.1:{listener.port}", logs, asyncio.get_running_loop()))
        started.set()
        await asyncio.to_thread(ended.wait, 55)
        await http.close(1)
        await logs.close()
        await database.close()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert started.wait(20)
    yield ready[0]
    ended.set()
    thread.join(20)
