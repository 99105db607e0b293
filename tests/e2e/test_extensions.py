"""Extensions as real processes of a layer: the order of things, failures in each phase, the end, and hostile ones."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from lambent.functions.records import FunctionVersion
from tests.e2e.extension_kit import SHELL, agent
from tests.e2e.invoke_kit import Machine, machine_in
from tests.unit.environments.kit import until, within

ECHO = """
    def handler(event, context):
        print("handling", event)
        return event
"""
LIMIT_S = 30.0


@pytest.fixture(params=["process", "native"])
async def machine(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Machine]:
    async with machine_in(tmp_path, request.param) as made:
        yield made


NATIVE = pytest.mark.parametrize("machine", ["native"], indirect=True)


def deploy(machine: Machine, agents: dict[str, str], source: str = ECHO, **changes: Any) -> FunctionVersion:
    # Enough CPU that the times of Shutdown suffice on a busy machine.
    changes.setdefault("memory_mb", 1024)
    files = {f"extensions/{name}": text for name, text in agents.items()} | changes.pop("files", {})
    return machine.deploy(source, layers=(machine.layer(files),), **changes)


async def over(machine: Machine) -> None:
    await until(lambda: machine.in_use() == 0, LIMIT_S)


async def gone(machine: Machine) -> None:
    """All environments are stopped as an eviction stops them, and have ended."""
    for environment in list(machine.pool.environments):
        machine.pool.retire(environment.version.deployment_id)
    await until(lambda: not list(machine.pool.environments), LIMIT_S)


def fault(payload: bytes) -> tuple[str, str]:
    body = orjson.loads(payload)
    return body["errorType"], re.sub(r"RequestId: [-0-9a-f]{36} Error: ", "", body["errorMessage"])


def kinds(machine: Machine) -> list[str]:
    """The log, each line by what it is."""
    return [
        re.split(r"[ \t](?:Name|RequestId|Runtime Version|Init Duration)", line)[0].strip()
        for line in machine.log.lines
    ]


async def test_the_order_of_events_is_that_of_aws(machine: Machine) -> None:
    """Extensions, runtime, EXTENSION lines, START, the function and who was told, END, REPORT, SHUTDOWN."""
    body = """
        say("starts")
        register("INVOKE", "SHUTDOWN")
        while (event := next_event())["eventType"] == "INVOKE":
            say("works")
        say(event["shutdownReason"])
    """
    function = deploy(machine, {"one": agent(body)}, 'print("loading")\n' + "def handler(event, context): return 1\n")
    assert await machine.result(function) == 1
    await over(machine)
    assert await machine.result(function) == 1
    await over(machine)
    await gone(machine)
    assert kinds(machine) == [
        "INIT_START",
        "[one] starts",
        "loading",
        "EXTENSION",
        *(["START", "[one] works", "END", "REPORT"] * 2),
        "[one] spindown",
    ]
    assert "EXTENSION\tName: one\tState: Ready\tEvents: [INVOKE, SHUTDOWN]\n" in machine.log.lines


async def test_a_shell_script_is_an_extension_too(machine: Machine) -> None:
    function = deploy(machine, {"shell": SHELL})
    assert await machine.result(function, 1) == 1
    await over(machine)
    (start,) = (line for line in machine.log.lines if line.startswith("[shell] starts"))
    assert start.endswith("with thumbnail and ''\n")
    assert "[shell] INVOKE\n" in machine.log.lines


@NATIVE
async def test_the_answer_does_not_wait_but_the_next_invocation_does(machine: Machine) -> None:
    body = """
        import socket
        door = socket.create_server(("127.0.0.1", 5005))
        register("INVOKE")
        while True:
            next_event()
            door.accept()
            say("done")
    """
    source = """
        import os
        def handler(event, context):
            return os.getpid()
    """
    function = deploy(machine, {"slow": agent(body)}, source)
    assert await machine.result(function)
    assert "[slow] done\n" not in machine.log.lines
    assert machine.in_use() == 1
    second = asyncio.create_task(machine.result(function))
    await until(lambda: len(list(machine.pool.environments)) == 2, LIMIT_S)
    assert await within(second, LIMIT_S)
    assert machine.in_use() == 2, "a busy environment is not given to others"
    for environment in list(machine.pool.environments):
        (await environment.domain._sandbox.connect(5005)).close()
    await over(machine)
    assert machine.log.lines.count("[slow] done\n") == 2


async def test_a_handler_registers_an_internal_extension(machine: Machine) -> None:
    source = """
        import http.client, json, os, signal, threading
        API = os.environ["AWS_LAMBDA_RUNTIME_API"]
        seen = []
        def call(method, path, headers, body=None):
            api = http.client.HTTPConnection(API)
            api.request(method, "/2020-01-01/extension" + path, body, headers)
            return api.getresponse()
        def register(name, *events):
            reply = call("POST", "/register", {"Lambda-Extension-Name": name}, json.dumps({"events": events}))
            return reply.headers.get("Lambda-Extension-Identifier"), json.loads(reply.read())
        mine, _ = register("thread", "INVOKE")
        def run():
            while True:
                reply = call("GET", "/event/next", {"Lambda-Extension-Identifier": mine})
                seen.append(json.loads(reply.read())["eventType"])
        threading.Thread(target=run, daemon=True).start()
        signal.signal(signal.SIGTERM, lambda *_: (print("ended kindly", flush=True), os._exit(0)))
        def handler(event, context):
            return [seen, register("late", "INVOKE")[1]["errorType"]]
    """
    function = machine.deploy(source, memory_mb=1024)
    await machine.result(function)
    await over(machine)
    seen, late = await machine.result(function)
    assert seen in (["INVOKE"], ["INVOKE", "INVOKE"])
    assert late == "Extension.RegistrationClosed"
    assert "EXTENSION\tName: thread\tState: Ready\tEvents: [INVOKE]\n" in machine.log.lines
    await over(machine)
    await gone(machine)
    assert "ended kindly\n" in machine.log.lines


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("sys.exit(3)", ("Extension.Crash", "exit status 3")),
        ('register(); report("init", "Extension.NoKey"); sys.exit(1)', ("Extension.InitError", "exit status 1")),
        ('register("INVOKE"); next_event(); os.kill(os.getpid(), 9)', ("Extension.Crash", "signal: killed")),
        (
            'register("INVOKE"); next_event(); report("exit", "Extension.Lost"); sys.exit(4)',
            ("Extension.ExitError", "exit status 4"),
        ),
    ],
)
async def test_an_extension_that_fails_fails_the_function(machine: Machine, body: str, error: tuple[str, str]) -> None:
    # The handler is slower than the extension, so that the failure comes first.
    function = deploy(machine, {"bad": agent(body)}, "import time\ndef handler(event, context): time.sleep(20)\n")
    result = await machine.invoke(function)
    assert fault(result.payload) == error
    assert machine.log.lines[-1].endswith(f"\tStatus: error\tError Type: {error[0]}\n")
    await over(machine)
    assert fault((await machine.invoke(function)).payload) == error
    assert len(machine.log.streams) == 1


@NATIVE
async def test_a_file_that_is_no_program_and_one_too_many(machine: Machine) -> None:
    function = deploy(machine, {"text": "no program"})
    assert fault((await machine.invoke(function)).payload) == (
        "Extension.LaunchError",
        "fork/exec /opt/extensions/text: exec format error",
    )
    crowd = deploy(machine, {f"a{number}": agent() for number in range(11)})
    assert (await machine.invoke(crowd)).error_type == "Extension.LaunchError"
    # The other way to say no: nothing is started.
    off = deploy(machine, {"text": "no program"}, files={"disable-extensions-jwigqn8j": ""})
    assert await machine.result(off, 1) == 1


@NATIVE
async def test_ten_extensions_are_told_in_each_invocation(machine: Machine) -> None:
    function = deploy(machine, {f"a{number}": agent() for number in range(10)}, timeout_s=30)
    for number in range(2):
        assert await machine.result(function, number) == number
        await over(machine)
    assert sum("] INVOKE" in line for line in machine.log.lines) == 20


async def test_after_a_timeout_everything_starts_again_and_tmp_is_kept(machine: Machine) -> None:
    source = """
        import os, time
        def handler(event, context):
            path = os.environ.get("TMPDIR", "/tmp") + "/kept"
            if os.path.exists(path):
                return open(path).read()
            with open(path, "w") as file:
                file.write("kept")
            time.sleep(20)
    """
    # Long enough for the Init that the second invocation repeats.
    function = deploy(machine, {"one": agent()}, source, timeout_s=3)
    result = await machine.invoke(function)
    assert result.error_type == "Sandbox.Timedout"
    assert "[one] SHUTDOWN timeout\n" in machine.log.lines
    assert await machine.result(function) == "kept"
    assert len(machine.log.streams) == 1


async def test_a_runtime_with_extensions_gets_sigterm_and_one_without_does_not(machine: Machine) -> None:
    source = """
        import signal, sys
        def ended(*_):
            print("ended kindly", flush=True)
            sys.exit(0)
        signal.signal(signal.SIGTERM, ended)
        def handler(event, context): return event
    """
    for agents, told in (({"one": agent()}, True), ({}, False)):
        await machine.result(deploy(machine, agents, source) if agents else machine.deploy(source), 1)
        await over(machine)
        await gone(machine)
        assert ("ended kindly\n" in machine.log.lines) is told
        machine.log.streams.clear()


async def test_a_wrapper_from_a_layer_starts_the_runtime_and_its_children_get_sigterm(machine: Machine) -> None:
    wrapper = """\
        #!/bin/sh
        echo "wrapping"
        export WRAPPED=yes
        # As one that has to clean up: it does not exec, and waits for the runtime.
        trap : TERM
        "$@"
    """
    source = """
        import os, signal, sys
        signal.signal(signal.SIGTERM, lambda *_: (print("ended kindly", flush=True), sys.exit(0)))
        def handler(event, context): return os.environ["WRAPPED"]
    """
    layer = machine.layer({"extensions/one": agent(), "wrapper": wrapper})
    variables = {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/wrapper"}
    function = machine.deploy(source, layers=(layer,), variables=variables, memory_mb=1024)
    assert await machine.result(function) == "yes"
    assert "wrapping\n" in machine.log.lines
    await over(machine)
    await gone(machine)
    assert "ended kindly\n" in machine.log.lines


async def test_the_end_of_the_pool_lets_all_extensions_finish(machine: Machine) -> None:
    function = deploy(machine, {"one": agent()}, "import time\ndef handler(event, context): time.sleep(0.5)\n")
    await asyncio.gather(*(machine.invoke(function) for _ in range(3)))
    await over(machine)
    await within(machine.pool.close(5), LIMIT_S)
    assert machine.log.lines.count("[one] SHUTDOWN spindown\n") == 3


HOSTILE = {
    "registers": 'register("INVOKE"); [register("NO", name=str(n)) for n in range(999)]; next_event(); next_event()',
    "bodies": """
        import socket
        host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
        for _ in range(30):
            line = socket.create_connection((host, int(port)))
            line.sendall(b"POST /2020-01-01/extension/register HTTP/1.1\\r\\nContent-Length: 9000000\\r\\n\\r\\n")
            try:
                line.sendall(b"x" * 9_000_000)
            except OSError:
                pass
        serve("SHUTDOWN")
    """,
    "connections": """
        import socket
        host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
        lines = [socket.create_connection((host, int(port))) for _ in range(40)]
        serve("INVOKE")
    """,
    "deaf": """
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        register("INVOKE", "SHUTDOWN")
        while next_event()["eventType"] == "INVOKE":
            pass
        time.sleep(60)
    """,
}


@NATIVE
@pytest.mark.parametrize("kind", HOSTILE)
async def test_a_hostile_extension_delays_nobody_else(machine: Machine, kind: str) -> None:
    neighbour = machine.deploy(ECHO)
    await machine.result(neighbour, 0)
    hostile = deploy(machine, {"bad": agent(HOSTILE[kind])}, timeout_s=10)
    running = asyncio.create_task(machine.invoke(hostile, 1))
    for number in range(10):
        assert await machine.result(neighbour, number) == number
    await within(running, LIMIT_S)
    await over(machine)
    await gone(machine)


@NATIVE
async def test_a_fork_bomb_in_an_extension_ends_with_its_function(machine: Machine) -> None:
    neighbour = machine.deploy(ECHO)
    await machine.result(neighbour, 0)
    bomb = """
        register("INVOKE")
        next_event()
        while True:
            try:
                os.fork()
            except OSError:
                pass
    """
    function = deploy(machine, {"bomb": agent(bomb)}, memory_mb=128, timeout_s=1)
    result = await machine.invoke(function, 1)
    assert result.payload
    assert await machine.result(neighbour, 1) == 1
    await over(machine)
    await gone(machine)
