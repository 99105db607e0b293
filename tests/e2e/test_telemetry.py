"""Extensions subscribed from inside real sandboxes: what they are told, in which order, and what bad ones cost."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lambent.functions.records import FunctionVersion
from lambent.testing.running_server import Server
from tests.e2e.census import resources
from tests.e2e.invoke_kit import Machine, machine_in
from tests.e2e.packages import create_function
from tests.e2e.telemetry_kit import FLOOD, FLOOD_KB, READER, agent, flood, layer, subscription
from tests.e2e.test_hostile_functions import DESCRIPTORS
from tests.e2e.test_layers import publish
from tests.unit.environments.kit import until


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    async with machine_in(tmp_path) as made:
        yield made


def types(events: list[Any]) -> list[str]:
    return [event["type"] for event in events]


async def first(machine: Machine, function: FunctionVersion) -> None:
    """An invocation, to its end: its extensions are done too, so the next one finds the same environment."""
    await machine.result(function, "first")
    await until(lambda: machine.in_use() == 0)


async def test_the_events_of_init_and_invocations_come_in_the_order_of_aws(machine: Machine) -> None:
    program = agent(subscription=subscription(8080), says="ready")
    function = machine.deploy(READER, layers=layer(machine, agent=program))
    await first(machine, function)
    kept = await machine.result(function, {"type": "platform.report", "of": "agent"})
    assert kept["agent.answer"] == [[200, '"OK"']]
    events = kept["agent"]
    assert types(events)[:2] == ["platform.initStart", "platform.telemetrySubscription"]
    wanted = [
        "platform.initStart", "platform.telemetrySubscription", "platform.initRuntimeDone", "platform.extension",
        "platform.initReport", "platform.start", "platform.runtimeDone", "platform.report", "platform.start",
    ]  # fmt: skip
    assert [name for name in types(events) if name.startswith("platform.")][: len(wanted)] == wanted
    by_type = {event["type"]: event["record"] for event in events}
    assert by_type["extension"] == "ready\n"
    assert by_type["platform.extension"] == {"name": "agent", "state": "Ready", "events": ["INVOKE", "SHUTDOWN"]}
    report = by_type["platform.report"]
    assert report["metrics"]["initDurationMs"] > 0
    assert [span["name"] for span in by_type["platform.initReport"]["spans"]] == [
        "queued", "sandbox", "runtime", "init",
    ]  # fmt: skip
    lines = [event["record"] for event in events if event["type"] == "function"]
    assert lines[0] == "asked first\n"
    assert types(events).index("platform.start") < types(events).index("function")
    assert [line for line in machine.log.lines if line.startswith(("TELEMETRY", "EXTENSION"))] == [
        "TELEMETRY\tName: agent\tState: Subscribed\tTypes: [Platform, Function, Extension]\n",
        "EXTENSION\tName: agent\tState: Ready\tEvents: [INVOKE, SHUTDOWN]\n",
    ]
    assert "ready\n" in machine.log.lines


async def test_the_logs_api_and_tcp(machine: Machine) -> None:
    wish = subscription(
        9000, schemaVersion="2021-03-18", types=["platform", "function"], destination={"protocol": "TCP", "port": 9000}
    )
    program = agent(9000, listens="tcp", path="/2020-08-15/logs", subscription=wish)
    function = machine.deploy(READER, layers=layer(machine, old=program))
    await first(machine, function)
    kept = await machine.result(function, {"type": "platform.report", "of": "old"})
    names = types(kept["old"])
    start = names.index("platform.start")
    assert names[: start - 1].count("platform.logsSubscription") == 1
    assert [name for name in names[start:] if name != "function"][:4] == [
        "platform.start", "platform.runtimeDone", "platform.end", "platform.report",
    ]  # fmt: skip
    assert any(line.startswith("LOGS\tName: old\tState: Subscribed") for line in machine.log.lines)


async def test_after_init_nobody_subscribes(machine: Machine) -> None:
    program = agent(subscription=subscription(8080), late=True)
    function = machine.deploy(READER, layers=layer(machine, agent=program))
    await first(machine, function)
    kept = await machine.result(function, {"type": "platform.report", "of": "agent"})
    ((status, body),) = kept["agent.late"]
    assert (status, json.loads(body)) == (
        403,
        {
            "errorMessage": "Telemetry API subscription is closed already",
            "errorType": "Telemetry.SubscriptionClosed",
        },
    )


async def test_what_is_refused_comes_again(machine: Machine) -> None:
    program = agent(subscription=subscription(8080), refuse=2)
    function = machine.deploy(READER, layers=layer(machine, agent=program))
    kept = await machine.result(function, {"type": "platform.initReport", "of": "agent"})
    assert types(kept["agent"])[0] == "platform.initStart"


async def test_after_a_reset_the_extension_subscribes_again_and_hears_of_what_was_before(machine: Machine) -> None:
    program = agent(subscription=subscription(8080, types=["platform"]))
    function = machine.deploy(READER, layers=layer(machine, agent=program), timeout_s=3)
    await first(machine, function)
    assert (await machine.invoke(function, {"sleep": 30})).error_type == "Sandbox.Timedout"
    await until(lambda: machine.in_use() == 0)
    wanted = {"type": "platform.report", "status": "timeout", "of": "agent"}
    kept = await machine.result(function, wanted)
    inits = [event["record"]["phase"] for event in kept["agent"] if event["type"] == "platform.initStart"]
    assert inits == ["init", "invoke"]
    names = types(kept["agent"])
    late = next(at for at, event in enumerate(kept["agent"]) if event["record"].get("status") == "timeout")
    assert names[late] == "platform.runtimeDone"
    assert late < len(names) - 1 - names[::-1].index("platform.initStart")


@pytest.mark.parametrize("listens", ["deaf", "closed"])
async def test_a_subscriber_that_takes_nothing_costs_nobody_else_anything(machine: Machine, listens: str) -> None:
    wish = subscription(8080)
    layers = layer(machine, bad=agent(listens=listens, subscription=wish))
    function = machine.deploy(
        """
        def handler(event, context):
            for _ in range(event):
                print("x" * 1000)
            return "done"
        """,
        layers=layers,
    )
    for lines in (1, 2000, 1):
        assert await machine.result(function, lines) == "done"
        await until(lambda: machine.in_use() == 0)
    memory = machine.pool._surroundings.telemetry
    assert memory.used_bytes <= 2 * 270_000
    machine.pool.retire(function.deployment_id)
    await until(lambda: not [*machine.pool.environments])
    assert memory.used_bytes == 0


def test_a_flood_past_a_deaf_subscriber_keeps_the_server_small(server: Server) -> None:
    if server.sandbox == "process":
        pytest.skip("the process sandbox promises nothing")
    client = server.client("lambda")
    wish = subscription(8080, types=["function"], buffering={"maxBytes": 1_048_576, "timeoutMs": 25})
    arn = publish(client, "deaf", {"extensions/agent": agent(listens="deaf", subscription=wish)}, executable=True)
    create_function(client, "flood", FLOOD, Timeout=60, MemorySize=1769, Layers=[arn])
    flood(client, "flood", 1)
    before = resources(server.pid)
    flood(client, "flood", 16)
    after = resources(server.pid)
    assert after["resident_kb"] - before["resident_kb"] < FLOOD_KB
    assert after["descriptors"] - before["descriptors"] < DESCRIPTORS
