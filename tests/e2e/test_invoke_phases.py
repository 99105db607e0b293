"""Init, Invoke, Reset and their failures with real processes and our Python bootstrap."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from lambent.environments.sandbox.launched import NativeSandbox
from tests.e2e.invoke_kit import Machine, machine_in
from tests.unit.environments.kit import until


@pytest.fixture(params=["process", "native"])
async def machine(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Machine]:
    """Every sentence holds in both drivers, unless a test says otherwise."""
    async with machine_in(tmp_path, request.param) as made:
        yield made


NATIVE = pytest.mark.parametrize("machine", ["native"], indirect=True)
"""For what only this driver has, or what is too slow to be shown twice."""


async def test_a_function_returns_and_its_log_is_complete(machine: Machine) -> None:
    function = machine.deploy("""
        print("loading")
        def handler(event, context):
            print("hello", event["name"])
            return {"id": context.aws_request_id, "name": event["name"]}
    """)
    first = await machine.result(function, {"name": "Grace"})
    second = await machine.result(function, {"name": "Ada"})
    assert (first["name"], second["name"]) == ("Grace", "Ada")
    await until(lambda: machine.in_use() == 0)
    lines = machine.log.lines
    assert lines[0].startswith("INIT_START Runtime Version: python:3.")
    assert [line.partition(" RequestId")[0] for line in lines[1:]] == [
        "loading\n", "START", "hello Grace\n", "END", "REPORT", "START", "hello Ada\n", "END", "REPORT",
    ]  # fmt: skip
    assert re.search(r"Max Memory Used: [1-9]\d* MB\tInit Duration: \d+\.\d\d ms\t\n$", lines[5])
    assert lines[9].endswith(" MB\t\n")


async def test_a_record_of_several_lines_is_one_event_and_prints_keep_their_place(machine: Machine) -> None:
    """On AWS several lines are kept together only where they come through the framed descriptor."""
    function = machine.deploy(r"""
        import logging
        def handler(event, context):
            print("one\rtwo\nthree", end="")
            logging.warning("first\nsecond")
            print("four")
            raise ValueError("bad")
    """)
    await machine.invoke(function)
    await until(lambda: machine.in_use() == 0)
    one, three, warning, four, error = machine.log.lines[2:-2]
    assert (one, three, four) == ("one\rtwo\n", "three", "four\n")
    assert re.fullmatch(r"\[WARNING\]\t\S+Z\t[0-9a-f-]{36}\tfirst\nsecond\n", warning)
    assert error.startswith("[ERROR] ValueError: bad\nTraceback (most recent call last):\n\xa0\xa0File ")
    assert error.endswith('app.py", line 7, in handler\n\xa0\xa0\xa0\xa0raise ValueError("bad")')


async def test_after_a_timeout_tmp_is_kept_and_module_state_is_gone(machine: Machine) -> None:
    function = machine.deploy(
        """
        import os, tempfile, time
        count = 0
        def handler(event, context):
            global count
            count += 1
            mark = os.path.join(tempfile.gettempdir(), "mark")
            seen = os.path.exists(mark)
            open(mark, "w").close()
            if event == "hang":
                time.sleep(60)
            return [count, seen]
        """,
        timeout_s=1,
    )
    assert await machine.result(function) == [1, False]
    assert await machine.result(function) == [2, True]
    result = await machine.invoke(function, "hang")
    assert result.error_type == "Sandbox.Timedout"
    assert orjson.loads(result.payload)["errorMessage"].endswith(" Error: Task timed out after 1.00 seconds")
    assert await machine.result(function) == [1, True]
    assert len(machine.log.streams) == 1


async def test_nothing_runs_on_after_a_timeout(machine: Machine) -> None:
    function = machine.deploy(
        """
        import os, subprocess, sys, tempfile, time
        beats = os.path.join(tempfile.gettempdir(), "beats")
        beat = "import sys, time\\nwhile True:\\n open(sys.argv[1], 'a').write('x')\\n time.sleep(0.01)"
        def size():
            return os.path.getsize(beats) if os.path.exists(beats) else 0
        def handler(event, context):
            if event == "hang":
                subprocess.Popen([sys.executable, "-S", "-c", beat, beats])
                time.sleep(60)
            first = size()
            time.sleep(0.2)
            return [first > 0, size() - first]
        """,
        timeout_s=1,
    )
    assert (await machine.invoke(function, "hang")).error_type == "Sandbox.Timedout"
    assert await machine.result(function) == [True, 0]


@pytest.mark.parametrize(
    ("source", "error_type", "text"),
    [
        (
            "import os\ndef handler(event, context): os._exit(3)",
            "Runtime.ExitError",
            "exited with error: exit status 3",
        ),
        (
            "import os\ndef handler(event, context): os._exit(0)",
            "Runtime.ExitError",
            "exited without providing a reason",
        ),
        ("import os\ndef handler(event, context): os.kill(os.getpid(), 11)", "Runtime.ExitError", "segmentation fault"),
        ("raise ValueError('import')", "ValueError", "import"),
        ("import os\nos._exit(4)", "Runtime.ExitError", "exited with error: exit status 4"),
        ("import nothing", "Runtime.ImportModuleError", "Unable to import module 'app': No module named 'nothing'"),
        ("def other(event, context): pass", "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'app'"),
    ],
)
async def test_failures_speak_lambdas_words(machine: Machine, source: str, error_type: str, text: str) -> None:
    result = await machine.invoke(machine.deploy(source))
    error = orjson.loads(result.payload)
    assert (error["errorType"], text in error["errorMessage"]) == (error_type, True), error
    await until(lambda: machine.in_use() == 0)
    assert machine.log.lines[-1].startswith("REPORT ")
    assert "\tStatus: error" in machine.log.lines[-1]


async def test_a_wrapper_that_is_missing_is_a_line_in_the_log_and_an_end_of_the_runtime(machine: Machine) -> None:
    variables = {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/bin/nothing"}
    function = machine.deploy("def handler(event, context): pass", variables=variables)
    error = orjson.loads((await machine.invoke(function)).payload)
    assert error["errorType"] == "Runtime.ExitError"
    assert error["errorMessage"].endswith("Error: Runtime exited with error: exit status 127")
    assert any(line.endswith("/bin/nothing: does not exist\n") for line in machine.log.lines)


async def test_a_flood_of_output_hurts_only_its_function(machine: Machine) -> None:
    flood = machine.deploy(
        """
        import os
        def handler(event, context):
            block = b"x" * 65536
            for _ in range(160):
                os.write(1, block)
            return "done"
        """
    )
    assert await machine.result(flood) == "done"
    await until(lambda: machine.in_use() == 0)
    assert sum(len(line) for line in machine.log.lines if line.startswith("x")) == 160 * 65536
    assert max(map(len, machine.log.lines)) <= 300 * 1024


async def test_six_megabytes_go_in_and_come_out(machine: Machine) -> None:
    function = machine.deploy("def handler(event, context): return event")
    event = "x" * (6_291_456 - 2)
    assert await machine.result(function, event) == event
    big = machine.deploy("def handler(event, context): return 'x' * 6291555")
    result = await machine.invoke(big)
    assert result.error_type == "Function.ResponseSizeTooLarge"
    await until(lambda: machine.in_use() == 0)
    assert (await machine.invoke(big)).error_type == "Function.ResponseSizeTooLarge"
    await until(lambda: machine.in_use() == 0)
    assert sum("Init Duration" in line for line in machine.log.lines) == 2


async def test_the_function_has_credentials_of_its_own(machine: Machine) -> None:
    function = machine.deploy("""
        import os
        def handler(event, context):
            return [os.environ["AWS_ACCESS_KEY_ID"][:4], context.invoked_function_arn, os.environ["AWS_REGION"]]
    """)
    key, arn, region = await machine.result(function)
    assert (key, region) == ("ASIA", "us-east-1")
    assert arn == "arn:aws:lambda:us-east-1:000000000000:function:thumbnail"
    assert os.environ.get("AWS_ACCESS_KEY_ID", "").startswith("ASIA") is False


@NATIVE
async def test_memory_of_children_counts_once_and_page_cache_does_not(machine: Machine) -> None:
    function = machine.deploy("""
        import os, time
        def child(held):
            pid = os.fork()
            if pid == 0:
                own = b"c" * (40 << 20)
                time.sleep(0.3)
                os._exit(len(held) + len(own) == 0)
            return pid
        def handler(event, context):
            with open("/tmp/file", "wb") as file:
                file.write(b"f" * (60 << 20))
            held = b"h" * (50 << 20)
            for pid in [child(held), child(held)]:
                os.waitpid(pid, 0)
    """)
    await machine.result(function)
    await until(lambda: machine.in_use() == 0)
    match = re.search(r"Max Memory Used: (\d+) MB", machine.log.lines[-1])
    assert match is not None
    # 50 MB that the three share, 40 MB of each child, and the interpreter.
    assert 130 <= int(match[1]) <= 160


@NATIVE
async def test_filling_the_memory_is_an_out_of_memory_error(machine: Machine) -> None:
    function = machine.deploy("""
        def handler(event, context):
            if event == "fill":
                held = [bytearray(16 * 1024 * 1024) for _ in range(1000)]
            return "fine"
    """)
    result = await machine.invoke(function, "fill")
    assert result.error_type == "Runtime.OutOfMemory"
    assert orjson.loads(result.payload)["errorMessage"].endswith("Runtime exited with error: signal: killed")
    await until(lambda: machine.in_use() == 0)
    assert "\tMax Memory Used: 256 MB\t" in machine.log.lines[-1]
    assert machine.log.lines[-1].endswith("\tStatus: error\tError Type: Runtime.OutOfMemory\n")
    assert await machine.result(function) == "fine"


async def test_an_idle_function_does_not_run_in_the_background(machine: Machine) -> None:
    function = machine.deploy("""
        import threading, time
        beats = 0
        def beat():
            global beats
            while True:
                beats += 1
                time.sleep(0.001)
        threading.Thread(target=beat, daemon=True).start()
        def handler(event, context):
            return beats
    """)
    first = await machine.result(function)
    await until(lambda: machine.environment.domain.frozen)
    await asyncio.sleep(0.5)  # real time must pass for a thread that must not run
    assert await machine.result(function) - first < 200


@NATIVE
async def test_an_init_of_ten_seconds_is_ended_and_repeated_inside_the_invocation(machine: Machine) -> None:
    function = machine.deploy(
        """
        import os, tempfile, time
        mark = os.path.join(tempfile.gettempdir(), "mark")
        if not os.path.exists(mark):
            open(mark, "w").close()
            time.sleep(60)
        def handler(event, context):
            return "fine"
        """
    )
    assert await machine.result(function) == "fine"
    await until(lambda: machine.in_use() == 0)
    kinds = [line.partition(" ")[0] for line in machine.log.lines]
    assert kinds == ["INIT_START", "INIT_REPORT", "START", "END", "REPORT"]
    assert re.fullmatch(
        r"INIT_REPORT Init Duration: 10\d{3}\.\d\d ms\tPhase: init\tStatus: timeout\n", machine.log.lines[1]
    )
    assert "Init Duration" not in machine.log.lines[-1]


@NATIVE
async def test_who_invokes_right_after_a_sandbox_was_killed_from_outside_is_answered(machine: Machine) -> None:
    """By the end of the runtime where that had the event, else by another environment; never by an exception."""
    function = machine.deploy("def handler(event, context): return event")
    ends = []
    for turns in range(8):
        await machine.invoke(function)
        await until(lambda: machine.in_use() == 0)
        environment = machine.environment
        sandbox = environment.domain._sandbox
        assert isinstance(sandbox, NativeSandbox)
        (runtime,) = sandbox.processes()
        first = Path(f"/proc/{runtime}/stat").read_text().rpartition(")")[2].split()[1]  # noqa: ASYNC240
        os.kill(int(first), 9)
        for _ in range(turns):
            await asyncio.sleep(0)
        while not environment.ended.done():  # It takes a moment to die, and answers until then.
            ends.append(await machine.invoke(function, "met"))
    assert {end.error_type for end in ends} <= {None, "Runtime.ExitError"}
    assert sum(end.error_type is None for end in ends) >= 4
