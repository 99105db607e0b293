"""boto3 through the gateway and the control plane to functions on scripted runtimes."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lambent.core.clock import SystemClock
from lambent.functions.control_plane import ControlPlane
from lambent.invocation.api import Invocation
from lambent.invocation.event_queue import EventQueue
from lambent.invocation.recursion import LoopDetection
from lambent.store.database import Database
from lambent.store.datadir import DataDir
from lambent.testing.aws_client import AsyncClient, aws_client
from lambent.testing.runtime_support import FakeRuntimeSupport
from lambent.testing.scripted_caller import ScriptedCaller
from lambent.testing.scripted_runtime import Exit, Fail, Hang, Obey, Respond, Say, Script
from tests.unit.environments.kit import Machine
from tests.unit.functions.conftest import creation

ACCOUNT = "123456789012"
OTHER_ACCOUNT = "999999999999"
ARN = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:"

MOODS: dict[str, Script] = {
    "echo": (Respond(),),
    "null": (Respond(b"null"),),
    "say": (Say("grüße\n".encode()), Respond()),
    "fail": (Fail(b'{"errorMessage":"no","errorType":"ValueError"}', "Function.ValueError"),),
    "exit": (Exit(1),),
    "hang": (Hang(),),
    "large": (Respond(b'"' + b"x" * 6_291_560 + b'"'),),
}


class Functions:
    """What a test may do, and the machine behind it. Functions answer `"echo"`, `"fail"`, ... as MOODS says."""

    def __init__(
        self,
        client: AsyncClient,
        support: FakeRuntimeSupport,
        machine: Machine,
        events: EventQueue,
        other: AsyncClient,
        draws: list[float],
    ) -> None:
        self.client = client
        self.support = support
        self.machine = machine
        self.events = events
        self.other = other
        """A client of another account."""
        self.draws = draws
        """The next random numbers of aliases with weights; 0.99 when there is none."""

    async def create(self, name: str = "f", **parameters: Any) -> None:
        await self.client.create_function(**(creation(name) | parameters))
        await self.client.wait("function_active_v2", FunctionName=name)

    async def invoke(self, mood: str = "echo", name: str = "f", **parameters: Any) -> dict[str, Any]:
        """The reply, its payload read."""
        reply: dict[str, Any] = await self.client.invoke(
            **({"FunctionName": name, "Payload": f'"{mood}"'.encode()} | parameters)
        )
        reply["Payload"] = reply["Payload"].read()
        return reply


@pytest.fixture
def neighbours() -> ScriptedCaller:
    return ScriptedCaller()


@pytest.fixture
async def functions(tmp_path: Path, neighbours: ScriptedCaller) -> AsyncIterator[Functions]:
    data_dir = DataDir.open(tmp_path / "data")
    database = Database.open(data_dir.database)
    support = FakeRuntimeSupport()
    draws: list[float] = []
    async with Machine(((Obey(MOODS),),)) as machine:
        plane = ControlPlane(
            data_dir=data_dir,
            database=database,
            clock=SystemClock(),
            runtime_support=support,
            observers=[machine.pool],
            random=lambda: draws.pop(0) if draws else 0.99,
        )
        machine.concurrency._reservations = plane.read_model
        plane.start()
        events = EventQueue(
            database=database,
            clock=SystemClock(),
            functions=plane.read_model,
            resolver=plane.resolver,
            router=machine.router,
            caller=neighbours,
            budget=8,
        )
        await events.start()
        invocation = Invocation(
            resolver=plane.resolver,
            router=machine.router,
            clock=SystemClock(),
            events=events,
            loops=LoopDetection(plane.read_model),
        )
        operations = {**plane.operations(), **invocation.operations()}
        async with (
            aws_client("lambda", operations, account=ACCOUNT) as client,
            aws_client("lambda", operations, account=OTHER_ACCOUNT) as other,
        ):
            yield Functions(client, support, machine, events, other, draws)
        await events.close()
        support.release()
        await plane.close()
        await database.close()
        data_dir.close()
