"""Mappings on a store, called without the gateway; also in a process of its own that a test kills."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from lambent.aws.service import CallContext, Identity
from lambent.core.clock import SystemClock
from lambent.event_sources.mappings import EventSourceMappings
from lambent.event_sources.records import AT_REST
from lambent.functions.read_model import ReadModel
from lambent.functions.records import CodePackage, Function, FunctionVersion, LoggingConfig
from lambent.store.database import Database
from lambent.store.datadir import DataDir
from lambent.store.vault import CARRIED_AS, Vault
from lambent.testing.manual_clock import START
from lambent.testing.scripted_poller import ScriptedPollers

ACCOUNT, REGION = "123456789012", "us-east-1"
STREAM = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/s"
CONTEXT = CallContext(
    account=ACCOUNT,
    region=REGION,
    request_id="r",
    identity=Identity(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", "test"),
    base_url="http://127.0.0.1:4566",
)


def functions() -> ReadModel:
    """One function, `f`."""
    model = ReadModel()
    model.put(
        Function(
            latest=FunctionVersion(
                account=ACCOUNT,
                region=REGION,
                name="f",
                version="$LATEST",
                runtime="python3.12",
                handler="h.h",
                role=f"arn:aws:iam::{ACCOUNT}:role/r",
                code=CodePackage("0" * 64, 1, 1),
                deployment_id="d",
                revision_id="r",
                last_modified=START,
                logging=LoggingConfig("/aws/lambda/f"),
            )
        )
    )
    return model


class Kit:
    def __init__(self, mappings: EventSourceMappings, database: Database) -> None:
        self.mappings = mappings
        self.database = database

    async def __call__(self, operation: str, **parameters: Any) -> Mapping[str, Any]:
        return await self.mappings.operations()[f"{operation}EventSourceMapping"](CONTEXT, parameters)

    async def created(self, **parameters: Any) -> str:
        sent = {"FunctionName": "f", "EventSourceArn": STREAM, "StartingPosition": "LATEST", **parameters}
        uuid: str = (await self("Create", **sent))["UUID"]
        return uuid

    def state(self, uuid: str) -> str | None:
        return {mapping.uuid: mapping.state.value for mapping in self.mappings.read_model}.get(uuid)

    async def at_rest(self, uuid: str) -> str | None:
        """Its state once no transition is under way; None when it is gone."""
        await self.until(lambda: self.state(uuid) in (None, *AT_REST))
        return self.state(uuid)

    async def reaches(self, uuid: str, state: str) -> None:
        await self.until(lambda: self.state(uuid) == state)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while True:
                if condition():
                    return
                await asyncio.sleep(0.005)


@asynccontextmanager
async def kit(root: Path, pollers: ScriptedPollers) -> AsyncIterator[Kit]:
    data_dir = DataDir.open(root)
    database = Database.open(data_dir.database)
    database.carry(**{CARRIED_AS: Vault(data_dir.secret("variables"))})
    mappings = EventSourceMappings(
        database=database, clock=SystemClock(), functions=functions(), pollers=pollers.factories()
    )
    mappings.start()
    try:
        yield Kit(mappings, database)
    finally:
        pollers.release()
        await mappings.close()
        await database.close()
        data_dir.close()


async def stuck(root: Path) -> None:
    """Begin one of each transition with pollers that never answer, print them, and wait to be killed."""
    pollers = ScriptedPollers()
    async with kit(root, pollers) as begun:
        uuids = {name: await begun.created(EventSourceArn=f"{STREAM}-{name}") for name in ("u", "d", "x")}
        for uuid in uuids.values():
            await begun.at_rest(uuid)
        pollers.hold()
        uuids["c"] = await begun.created()
        await begun("Update", UUID=uuids["u"], BatchSize=7)
        await begun("Update", UUID=uuids["d"], Enabled=False)
        await begun("Delete", UUID=uuids["x"])
        os.write(1, "".join(f"{name} {uuid} {begun.state(uuid)}\n" for name, uuid in uuids.items()).encode())
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(stuck(Path(sys.argv[1])))
