"""Mappings whose queue is polled: boto3, the control plane, the reconciler and the poller, over scripted queues."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambent.event_sources.mappings import EventSourceMappings
from lambent.event_sources.pollers import Pollers
from lambent.event_sources.ports import PollerFactory
from lambent.event_sources.sources import Kind
from lambent.functions.records import FunctionKey
from lambent.functions.records import State as FunctionState
from lambent.invocation.metrics import Metrics
from lambent.invocation.recursion import LoopDetection
from lambent.testing.aws_client import aws_client
from lambent.testing.manual_clock import settle
from lambent.testing.scripted_sqs import ScriptedQueue, ScriptedSqs
from tests.contract.event_sources.conftest import QUEUE, Mappings, Server
from tests.contract.functions.conftest import ACCOUNT
from tests.planes import opened
from tests.unit.event_sources.kit import functions
from tests.unit.event_sources.poller_kit import KEY, Function, FunctionFailed, nothing

pytestmark = pytest.mark.timeout(60)


class Polled(Mappings):
    sqs: ScriptedSqs
    function: Function
    metrics: Metrics
    mappings: EventSourceMappings

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while True:
                if condition():
                    return
                await asyncio.sleep(0.005)

    async def shows(self, uuid: str, **members: Any) -> Mapping[str, Any]:
        """The mapping once it shows these."""
        async with asyncio.timeout(20):
            while True:
                found: Mapping[str, Any] = await self.client.get_event_source_mapping(UUID=uuid)
                if members.items() <= found.items():
                    return found
                await asyncio.sleep(0.005)


@pytest.fixture
async def polled(tmp_path: Path) -> AsyncIterator[Polled]:
    """The client of an account with a function `f`, whose code is `function.handler`."""
    async with opened(tmp_path / "data") as there:
        sqs, metrics = ScriptedSqs(there.clock), Metrics(there.clock)
        model = functions()
        found = model.get(KEY)
        assert found is not None
        function = Function(nothing, replace(found.latest, timeout_s=3, state=FunctionState.ACTIVE))
        sources: dict[Kind, PollerFactory] = {}
        mappings = EventSourceMappings(
            database=there.database,
            clock=there.clock,
            functions=there.plane.read_model,
            caller=sqs,
            pollers=sources,
        )
        sources |= Pollers(
            caller=sqs,
            functions=there.plane.read_model,
            resolver=function,
            router=function,
            loops=LoopDetection(there.plane.read_model, metrics),
            metrics=metrics,
            clock=there.clock,
            budget=10,
            told=mappings.results.told,
        ).factories()
        mappings.start()
        server = Server(there.plane, mappings)
        async with aws_client("lambda", server.operations(), account=ACCOUNT) as client:
            kit = Polled(client)
            kit.sqs, kit.function, kit.metrics, kit.mappings = sqs, function, metrics, mappings
            await kit.created(Timeout=3)
            yield kit
        await mappings.close()


def send(polled: Polled, queue: ScriptedQueue, count: int) -> None:
    for number in range(count):
        polled.sqs.send(queue, str(number))


async def test_a_mapping_is_enabled_and_its_queue_is_read(polled: Polled) -> None:
    queue = polled.sqs.create(QUEUE)
    send(polled, queue, 25)
    made = await polled.mapped(MetricsConfig={"Metrics": ["EventCount"]})
    assert made["State"] == "Creating"
    await polled.until(lambda: not queue.messages)
    found = await polled.shows(made["UUID"], LastProcessingResult="OK")
    assert (found["State"], found["StateTransitionReason"]) == ("Enabled", "USER_INITIATED")
    assert found["LastModified"] == made["LastModified"], "what a poller says is no change"
    key = FunctionKey(ACCOUNT, "us-east-1", "f")
    points = polled.metrics.series(key.account, key.region, "DeletedEventCount", mapping=made["UUID"])
    assert sum(point.value.sum for point in points) == 25


async def test_a_failing_function_shows_in_the_mapping_until_it_succeeds(polled: Polled) -> None:
    async def fails(_event: Any) -> None:
        raise FunctionFailed

    polled.function.handler = fails
    queue = polled.sqs.create(QUEUE)
    send(polled, queue, 1)
    uuid = (await polled.mapped())["UUID"]
    await polled.shows(uuid, LastProcessingResult="PROBLEM: Function call failed", State="Enabled")
    polled.function.handler = nothing
    queue.messages[0].visible_s = 0
    send(polled, queue, 1)
    await polled.shows(uuid, LastProcessingResult="OK")


async def test_a_mapping_is_disabling_until_its_batches_have_ended(polled: Polled) -> None:
    opened = asyncio.Event()

    async def waits(_event: Any) -> None:
        await opened.wait()

    polled.function.handler = waits
    queue = polled.sqs.create(QUEUE)
    send(polled, queue, 10)
    uuid = (await polled.mapped())["UUID"]
    await polled.until(lambda: polled.function.running == 1)
    await polled.at_rest(uuid)
    await polled.client.update_event_source_mapping(UUID=uuid, Enabled=False)
    for _ in range(50):
        assert (await polled.client.get_event_source_mapping(UUID=uuid))["State"] == "Disabling"
    # Another mapping does not wait for that.
    other = polled.sqs.create(f"{QUEUE}-other")
    second = (await polled.mapped(EventSourceArn=f"{QUEUE}-other"))["UUID"]
    await polled.shows(second, State="Enabled")
    with pytest.raises(ClientError, match="ResourceInUseException"):
        await polled.client.delete_event_source_mapping(UUID=uuid)
    opened.set()
    await polled.shows(uuid, State="Disabled")
    assert queue.messages == []
    send(polled, queue, 5)
    send(polled, other, 5)
    await polled.until(lambda: not other.messages)
    assert [message.receives for message in queue.messages] == [0] * 5
    await polled.client.update_event_source_mapping(UUID=uuid, Enabled=True)
    await polled.until(lambda: not queue.messages)


async def test_an_update_under_load_loses_and_doubles_nothing(polled: Polled) -> None:
    async def takes_a_moment(_event: Any) -> None:
        await asyncio.sleep(0.01)

    polled.function.handler = takes_a_moment
    queue = polled.sqs.create(QUEUE)
    send(polled, queue, 400)
    uuid = (await polled.mapped(BatchSize=2))["UUID"]
    for size in (3, 4, 5):
        await polled.at_rest(uuid)
        await polled.client.update_event_source_mapping(UUID=uuid, BatchSize=size)
    await polled.until(lambda: not queue.messages)
    flat = [int(body) for batch in polled.function.batches for body in batch]
    assert sorted(flat) == list(range(400))
    assert {len(batch) for batch in polled.function.batches} >= {2, 5}


async def test_a_reset_ends_pollers(polled: Polled) -> None:
    queue = polled.sqs.create(QUEUE)
    uuid = (await polled.mapped())["UUID"]
    await polled.shows(uuid, State="Enabled")
    await polled.mappings.reset()
    send(polled, queue, 3)
    asked = polled.sqs.asked["ReceiveMessage"]
    await settle()
    assert polled.sqs.asked["ReceiveMessage"] == asked
    assert len(queue.messages) == 3


async def test_deleting_the_function_leaves_the_mapping_and_the_messages(polled: Polled) -> None:
    queue = polled.sqs.create(QUEUE)
    uuid = (await polled.mapped())["UUID"]
    await polled.shows(uuid, State="Enabled")
    polled.function.gone = True
    await polled.until(lambda: "ReceiveMessage" in polled.sqs.asked)
    await polled.client.delete_function(FunctionName="f")
    await polled.shows(uuid, State="Enabled", LastProcessingResult="PROBLEM: Function call failed")
    send(polled, queue, 1)
    await polled.client.delete_event_source_mapping(UUID=uuid)
    await polled.gone(uuid)
    assert sum(message.receives for message in queue.messages) <= 1


async def test_a_queue_is_read_by_the_role_of_the_function(polled: Polled) -> None:
    queue = polled.sqs.create(QUEUE)
    send(polled, queue, 1)
    await polled.mapped()
    await polled.until(lambda: not queue.messages)
    role = (await polled.client.get_function_configuration(FunctionName="f"))["Role"]
    assert polled.sqs.principals == {role}
