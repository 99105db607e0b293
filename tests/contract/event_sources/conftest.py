"""boto3 through the whole gateway to event source mappings on a real store, beside a real control plane."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lambent.aws.service import Operations
from lambent.event_sources.mappings import EventSourceMappings
from lambent.event_sources.records import AT_REST
from lambent.functions.admission import admitted
from lambent.functions.control_plane import ControlPlane
from lambent.functions.quotas import Quotas
from lambent.testing.aws_client import aws_client
from lambent.testing.scripted_caller import ScriptedCaller
from lambent.testing.scripted_poller import ScriptedPollers
from tests.contract.functions.conftest import ACCOUNT, Lambda
from tests.planes import opened

QUEUE = f"arn:aws:sqs:us-east-1:{ACCOUNT}:work"
FIFO = f"{QUEUE}.fifo"
STREAM = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/clicks"
TABLE = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/t/stream/2026-11-20T20:04:39.123"
MSK = f"arn:aws:kafka:us-east-1:{ACCOUNT}:cluster/c/0f0e0d0c-0000-4000-8000-000000000000-1"
BROKER = f"arn:aws:mq:us-east-1:{ACCOUNT}:broker:b:b-00000000-0000-4000-8000-000000000000"
DOCUMENTS = f"arn:aws:rds:us-east-1:{ACCOUNT}:cluster:docs"
SECRET = f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:s"
BASIC = [{"Type": "BASIC_AUTH", "URI": SECRET}]
SERVERS = {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": ["kafka:9092", "kafka2:9092"]}}

MINIMAL: Mapping[str, dict[str, Any]] = {
    "sqs": {"EventSourceArn": QUEUE},
    "sqs-fifo": {"EventSourceArn": FIFO},
    "kinesis": {"EventSourceArn": STREAM, "StartingPosition": "LATEST"},
    "kinesis-consumer": {"EventSourceArn": f"{STREAM}/consumer/c:1700000000", "StartingPosition": "TRIM_HORIZON"},
    "dynamodb": {"EventSourceArn": TABLE, "StartingPosition": "TRIM_HORIZON"},
    "msk": {"EventSourceArn": MSK, "Topics": ["orders"], "StartingPosition": "LATEST"},
    "self-managed-kafka": {
        "SelfManagedEventSource": SERVERS,
        "Topics": ["orders"],
        "SourceAccessConfigurations": BASIC,
    },
    "mq": {"EventSourceArn": BROKER, "Queues": ["jobs"], "SourceAccessConfigurations": BASIC},
    "documentdb": {
        "EventSourceArn": DOCUMENTS,
        "StartingPosition": "LATEST",
        "SourceAccessConfigurations": BASIC,
        "DocumentDBEventSourceConfig": {"DatabaseName": "shop"},
    },
}
"""The smallest create request of each kind of source, without FunctionName."""


@dataclass(slots=True)
class Server:
    plane: ControlPlane
    mappings: EventSourceMappings

    def operations(self) -> Operations:
        return {**self.plane.operations(), **admitted(self.mappings.operations(), self.plane.authorizer)}


@pytest.fixture
def caller() -> ScriptedCaller:
    """Of a server on which no other service is built."""
    return ScriptedCaller()


@pytest.fixture
def pollers() -> ScriptedPollers:
    """None at all, as today."""
    return ScriptedPollers(kinds=())


@pytest.fixture
def quotas() -> Quotas:
    return Quotas()


@pytest.fixture
async def server(
    tmp_path: Path, caller: ScriptedCaller, pollers: ScriptedPollers, quotas: Quotas
) -> AsyncIterator[Server]:
    async with opened(tmp_path / "data", quotas=quotas) as there:
        mappings = EventSourceMappings(
            database=there.database,
            clock=there.clock,
            functions=there.plane.read_model,
            caller=caller,
            pollers=pollers.factories(),
            quotas=quotas,
        )
        there.plane.taggables["event-source-mapping"] = mappings.taggable
        mappings.start()
        yield Server(there.plane, mappings)
        pollers.release()
        await mappings.close()


class Mappings(Lambda):
    async def mapped(self, source: str = "sqs", function: str = "f", **parameters: Any) -> Mapping[str, Any]:
        """The reply of a create request."""
        reply: Mapping[str, Any] = await self.client.create_event_source_mapping(
            **{"FunctionName": function, **MINIMAL[source], **parameters}
        )
        return reply

    async def at_rest(self, uuid: str) -> Mapping[str, Any]:
        """The mapping, once no transition is under way."""
        async with asyncio.timeout(20):
            while True:
                reply: Mapping[str, Any] = await self.client.get_event_source_mapping(UUID=uuid)
                if reply["State"] in AT_REST:
                    return reply
                await asyncio.sleep(0.005)

    async def gone(self, uuid: str) -> None:
        async with asyncio.timeout(20):
            while True:
                listed = (await self.client.list_event_source_mappings())["EventSourceMappings"]
                if uuid not in [mapping["UUID"] for mapping in listed]:
                    return
                await asyncio.sleep(0.005)


@pytest.fixture
async def lambda_(server: Server) -> AsyncIterator[Mappings]:
    async with aws_client("lambda", server.operations(), account=ACCOUNT) as client:
        yield Mappings(client)


@pytest.fixture
async def mapped(lambda_: Mappings) -> Mappings:
    """The client of an account that has a function `f`, with a time-out of 30 s."""
    await lambda_.created(Timeout=30)
    return lambda_
