"""The life of an environment with extensions, against scripted ones over real sockets: who is told what, and when."""

import asyncio
import re
from pathlib import Path

import orjson
import pytest

from lambent.environments.events import Report
from lambent.environments.extensions import files as extension_files
from lambent.environments.sandbox.ports import SandboxError
from lambent.environments.shutdown import Budget, budget
from lambent.environments.states import State
from lambent.runtimes.variables import extension_variables
from lambent.testing.fake_sandbox import FakeSandbox
from lambent.testing.manual_clock import ManualClock
from lambent.testing.scripted_extension import NextEvent, Register, ScriptedExtension, Serve, Steps
from lambent.testing.scripted_extension import Report as ReportError
from lambent.testing.scripted_runtime import (
    Die,
    Echo,
    Exit,
    FailInit,
    Hang,
    Next,
    Respond,
    Say,
    Script,
    WaitFor,
)
from tests.unit.environments.kit import ECHO, REQUEST_ID, Machine, function_version, until, within

SERVE: Steps = (Serve(),)


def sandbox(machine: Machine) -> FakeSandbox:
    (made,) = machine.driver.sandboxes
    return made


def extension(machine: Machine, name: str = "agent") -> ScriptedExtension:
    return sandbox(machine).scripted[name][-1]


def error(payload: bytes) -> tuple[str, str]:
    body = orjson.loads(payload)
    return body["errorType"], body["errorMessage"]


def says(text: str) -> str:
    return f"RequestId: {REQUEST_ID} Error: {text}"


# Init


async def test_extensions_start_and_register_before_the_runtime_starts() -> None:
    register = asyncio.Event()
    scripts: dict[str, Steps] = {"a": (Register(), WaitFor(register), NextEvent()), "b": (WaitFor(register), Serve())}
    async with Machine(extensions=scripts) as machine:
        invoked = asyncio.create_task(machine.invoke())
        await until(lambda: bool(machine.driver.sandboxes) and len(sandbox(machine).scripted) == 2)
        assert sandbox(machine).starts == 0
        register.set()
        assert (await within(invoked)).payload == b"{}"
        assert machine.driver.order[:3] == ["a starts", "b starts", "runtime starts"]


async def test_init_ends_when_runtime_and_extensions_ask_for_an_event() -> None:
    ready = asyncio.Event()
    async with Machine(extensions={"agent": (Register(), WaitFor(ready), NextEvent(), Hang())}) as machine:
        invoked = asyncio.create_task(machine.invoke())
        await until(lambda: bool(machine.driver.sandboxes) and sandbox(machine).starts == 1)
        for _ in range(20):
            await asyncio.sleep(0)
        assert machine.environment.state is State.STARTING
        ready.set()
        await within(invoked)


async def test_the_log_tells_what_became_of_each_extension() -> None:
    scripts: dict[str, Steps] = {"agent": SERVE, "watcher": (Serve(("SHUTDOWN",)),)}
    async with Machine(extensions=scripts) as machine:
        await machine.invoke()
        assert machine.log.lines[1:4] == [
            "EXTENSION\tName: agent\tState: Ready\tEvents: [INVOKE, SHUTDOWN]\n",
            "EXTENSION\tName: watcher\tState: Ready\tEvents: [SHUTDOWN]\n",
            f"START RequestId: {REQUEST_ID} Version: $LATEST\n",
        ]


async def test_an_extension_gets_the_variables_of_the_function_without_those_of_the_runtime() -> None:
    async with Machine(extensions={"agent": SERVE}) as machine:
        await machine.invoke()
        command = sandbox(machine).extensions["agent"]
        assert command.argv == ("/opt/extensions/agent",)
        assert command.variables == {"AWS_LAMBDA_FUNCTION_NAME": "thumbnail", "SECRET": "x"}


def test_everything_but_the_runtimes_own_variables_is_for_extensions() -> None:
    kept = {"AWS_REGION": "r", "AWS_SESSION_TOKEN": "t", "TZ": ":UTC", "PATH": "/bin", "AWS_LAMBDA_RUNTIME_API": "a:1"}
    hidden = dict.fromkeys(
        [
            "AWS_EXECUTION_ENV",
            "AWS_LAMBDA_LOG_GROUP_NAME",
            "AWS_LAMBDA_LOG_STREAM_NAME",
            "AWS_XRAY_CONTEXT_MISSING",
            "AWS_XRAY_DAEMON_ADDRESS",
            "LAMBDA_RUNTIME_DIR",
            "LAMBDA_TASK_ROOT",
            "_HANDLER",
            "_AWS_XRAY_DAEMON_ADDRESS",
            "_LAMBDA_TELEMETRY_LOG_FD",
            "_ANYTHING",
        ],
        "x",
    )
    assert extension_variables({**kept, **hidden}) == kept


@pytest.mark.parametrize(
    ("steps", "error_type", "text", "line"),
    [
        ((Exit(1),), "Extension.Crash", "exit status 1", "State: Started\tEvents: []\n"),
        ((Exit(0),), "Extension.Crash", "exit code 0", "State: Started\tEvents: []\n"),
        (
            (Register(), Die(11)),
            "Extension.Crash",
            "signal: segmentation fault",
            "State: Registered\tEvents: [INVOKE, SHUTDOWN]\n",
        ),
        (
            (Register(), ReportError("init"), Exit(2)),
            "Extension.InitError",
            "exit status 2",
            "State: InitError\tEvents: [INVOKE, SHUTDOWN]\tError Type: Extension.NoKey\n",
        ),
        (
            (Register(), ReportError("exit"), Exit(3)),
            "Extension.ExitError",
            "exit status 3",
            "State: ExitError\tEvents: [INVOKE, SHUTDOWN]\tError Type: Extension.NoKey\n",
        ),
    ],
)
async def test_an_extension_that_fails_in_init_fails_it_and_is_started_again_inside_the_invocation(
    steps: Steps, error_type: str, text: str, line: str
) -> None:
    async with Machine(extensions={"agent": steps}) as machine:
        result = await machine.invoke()
        assert error(result.payload) == (error_type, says(text))
        assert result.error_type == error_type
        assert len(sandbox(machine).scripted["agent"]) == 2
        assert machine.log.lines[1] == f"EXTENSION\tName: agent\t{line}"
        assert re.fullmatch(
            rf"INIT_REPORT Init Duration: \d+\.\d\d ms\tPhase: init\tStatus: error\tError Type: {error_type}\n",
            machine.log.lines[2],
        )
        assert machine.log.lines[-1].endswith(f"\tStatus: error\tError Type: {error_type}\n")


@pytest.mark.parametrize(
    ("reason", "text", "kind"),
    [
        (
            "PermissionError: [Errno 13] Permission denied: '/opt/extensions/agent'",
            "permission denied",
            "PermissionDenied",
        ),
        ("OSError: [Errno 8] Exec format error: '/opt/extensions/agent'", "exec format error", "UnknownError"),
    ],
)
async def test_a_file_that_is_no_program_is_a_launch_error(reason: str, text: str, kind: str) -> None:
    async with Machine(extensions={"agent": SandboxError(reason)}) as machine:
        result = await machine.invoke()
        assert error(result.payload) == ("Extension.LaunchError", says(f"fork/exec /opt/extensions/agent: {text}"))
        assert machine.log.lines[1] == f"EXTENSION\tName: agent\tState: LaunchError\tEvents: []\tError Type: {kind}\n"
        assert sandbox(machine).starts == 0


async def test_more_than_ten_extensions_are_a_launch_error() -> None:
    async with Machine(extensions={f"agent-{number:02}": SERVE for number in range(11)}) as machine:
        result = await machine.invoke()
        assert result.error_type == "Extension.LaunchError"
        line = "EXTENSION\tName: agent-10\tState: LaunchError\tEvents: []\tError Type: TooManyExtensions\n"
        assert line in machine.log.lines
        assert not sandbox(machine).scripted


async def test_an_extension_that_never_registers_uses_up_the_time_of_init_and_of_the_invocation() -> None:
    clock = ManualClock()
    async with Machine(extensions={"agent": (Say(b"thinking\n"), Hang())}, clock=clock) as machine:
        invoked = asyncio.create_task(machine.invoke())
        await until(lambda: "thinking\n" in machine.log.lines)
        await clock.advance(10)
        await until(lambda: machine.log.lines.count("thinking\n") == 2)
        assert machine.log.lines[2:4] == [
            "EXTENSION\tName: agent\tState: Started\tEvents: []\n",
            "INIT_REPORT Init Duration: 10000.00 ms\tPhase: init\tStatus: timeout\n",
        ]
        await clock.advance(3)
        assert (await within(invoked)).error_type == "Sandbox.Timedout"
        assert sandbox(machine).starts == 0


async def test_an_extension_that_reports_an_error_and_stays_fails_after_a_moment() -> None:
    clock = ManualClock()
    async with Machine(
        extensions={"agent": (Register(), ReportError("init"), Say(b"bye\n"), Hang())}, clock=clock
    ) as machine:
        invoked = asyncio.create_task(machine.invoke())
        await until(lambda: "bye\n" in machine.log.lines)
        await clock.advance(1)
        # It is told of the end, and given its time, before it is killed.
        await clock.advance(2)
        await until(lambda: machine.log.lines.count("bye\n") == 2)
        await clock.advance(1)
        await clock.advance(2)
        assert error((await within(invoked)).payload) == ("Extension.InitError", says("Extension.NoKey"))


async def test_extensions_that_are_turned_off_have_no_api() -> None:
    async with Machine(extensions_off=True) as machine:
        await machine.invoke()
        stranger = ScriptedExtension("agent", (Register(),), sandbox(machine)._address, -1)
        await within(stranger.run())
        assert [reply.status for reply in stranger.replies] == [404]


async def test_the_init_error_of_a_runtime_ends_extensions_before_they_start_again() -> None:
    async with Machine(((FailInit(), Exit(1)), (Echo(),)), extensions={"agent": SERVE}) as machine:
        assert (await machine.invoke()).error_type is None
        assert [each.events[-1]["eventType"] for each in sandbox(machine).scripted["agent"]] == ["SHUTDOWN", "INVOKE"]
        assert sandbox(machine).scripted["agent"][0].events == [
            {
                "eventType": "SHUTDOWN",
                "deadlineMs": pytest.approx(machine.clock.epoch_ms(), abs=60_000),
                "shutdownReason": "failure",
            }
        ]


# Invoke


async def test_the_answer_goes_out_at_once_and_the_invocation_ends_with_the_last_extension() -> None:
    done = asyncio.Event()
    steps: Steps = (Register(), NextEvent(), Say(b"sending\n"), WaitFor(done), NextEvent(), Hang())
    async with Machine(extensions={"agent": steps}) as machine:
        assert (await machine.invoke(b"1")).payload == b"1"
        await until(lambda: "sending\n" in machine.log.lines)
        assert machine.environment.state is State.BUSY
        assert machine.in_use() == 1
        assert not any(line.startswith("REPORT") for line in machine.log.lines)
        done.set()
        await until(lambda: machine.in_use() == 0)
        assert machine.environment.usable
        assert machine.log.lines[-3] == "sending\n"
        assert machine.log.lines[-1].startswith("REPORT")


async def test_the_time_of_extensions_after_the_runtime_is_in_the_report() -> None:
    clock = ManualClock()
    reports: list[Report] = []
    go_on, done = asyncio.Event(), asyncio.Event()
    script: Script = (Next(), WaitFor(go_on), Respond(then_next=True), Hang())
    steps: Steps = (Register(), NextEvent(), WaitFor(done), NextEvent(), Hang())
    async with Machine((script,), extensions={"agent": steps}, clock=clock) as machine:
        invoked = asyncio.create_task(machine.invoke())
        await until(lambda: "agent INVOKE" in machine.driver.order)
        machine.environment._journal.report = reports.append
        await clock.advance(0.1)
        go_on.set()
        await within(invoked)
        await until(lambda: machine.environment._current is not None and machine.environment._current.runtime_done)
        await clock.advance(0.25)
        done.set()
        await until(lambda: bool(reports))
        assert reports[0].duration_ms == pytest.approx(350)
        assert reports[0].extension_overhead_ms == pytest.approx(250)


async def test_extensions_that_are_done_before_the_runtime_cost_nothing() -> None:
    reports: list[Report] = []
    async with Machine(extensions={"agent": SERVE}) as machine:
        await machine.invoke()
        await until(lambda: machine.in_use() == 0)
        machine.environment._journal.report = reports.append
        await machine.invoke(b"2")
        await until(lambda: bool(reports))
        assert machine.driver.order.count("agent INVOKE") == 2


async def test_invoke_says_which_request_until_when() -> None:
    clock = ManualClock()
    async with Machine(extensions={"agent": SERVE}, clock=clock) as machine:
        await machine.invoke(trace_header="Root=1-5f-a;Sampled=1")
        assert extension(machine).events == [
            {
                "eventType": "INVOKE",
                "deadlineMs": clock.epoch_ms() + 3000,
                "requestId": REQUEST_ID,
                "invokedFunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:thumbnail",
                "tracing": {"type": "X-Amzn-Trace-Id", "value": "Root=1-5f-a;Sampled=1"},
            }
        ]


async def test_an_extension_for_shutdown_alone_is_not_waited_for() -> None:
    async with Machine(extensions={"agent": (Serve(("SHUTDOWN",)),)}) as machine:
        for number in range(3):
            assert (await machine.invoke(b"%d" % number)).payload == b"%d" % number
        assert not extension(machine).events


@pytest.mark.parametrize(
    ("steps", "fault"),
    [
        ((Register(), NextEvent(), Exit(7)), ("Extension.Crash", says("exit status 7"))),
        ((Register(), NextEvent(), ReportError("exit"), Exit(1)), ("Extension.ExitError", says("exit status 1"))),
    ],
)
async def test_an_extension_that_fails_in_an_invocation_fails_it_and_everything_starts_again(
    steps: Steps, fault: tuple[str, str]
) -> None:
    async with Machine(((Next(), Hang()), (Echo(),)), extensions={"agent": steps}) as machine:
        result = await machine.invoke()
        assert error(result.payload) == fault
        assert machine.log.lines[-1].endswith(f"\tStatus: error\tError Type: {fault[0]}\n")
        machine.driver.extension_scripts["agent"] = SERVE
        identity = machine.environment.identity
        assert (await machine.invoke(b"2")).payload == b"2"
        assert machine.environment.identity is identity
        assert len(sandbox(machine).scripted["agent"]) == 2


async def test_a_crash_after_the_answer_leaves_the_answer_to_the_caller_and_is_in_the_report() -> None:
    crash = asyncio.Event()
    async with Machine(extensions={"agent": (Register(), NextEvent(), WaitFor(crash), Exit(1))}) as machine:
        assert (await machine.invoke(b"1")).payload == b"1"
        crash.set()
        await until(lambda: machine.in_use() == 0)
        assert machine.log.lines[-1].endswith("\tStatus: error\tError Type: Extension.Crash\n")


async def test_an_extension_that_ends_between_invocations_is_started_again_by_the_next() -> None:
    crash = asyncio.Event()
    steps: Steps = (Register(), NextEvent(), NextEvent(), WaitFor(crash), Exit(1))
    async with Machine(extensions={"agent": (Register(("SHUTDOWN",)), NextEvent(), Exit(0)), "b": steps}) as machine:
        await machine.invoke(b"1")
        await until(lambda: machine.in_use() == 0)
        sandbox(machine).end_extension("agent")
        await until(lambda: sandbox(machine).kills == 1)
        machine.driver.extension_scripts.update(agent=SERVE, b=SERVE)
        assert (await machine.invoke(b"2")).payload == b"2"
        assert len(machine.driver.sandboxes) == 1


async def test_a_timeout_covers_the_extensions_too() -> None:
    clock = ManualClock()
    async with Machine(extensions={"agent": (Register(), NextEvent(), Hang())}, clock=clock) as machine:
        version = function_version(timeout_s=1)
        assert (await machine.invoke(b"1", version=version)).payload == b"1"
        await until(lambda: machine.environment._current is not None and machine.environment._current.runtime_done)
        await clock.advance(1)
        await clock.advance(2)
        await until(lambda: machine.in_use() == 0)
        assert re.search(r"Duration: 1000\.00 ms\t.*\tStatus: timeout\n", machine.log.lines[-1])
        machine.driver.extension_scripts["agent"] = SERVE
        assert (await machine.invoke(b"2", version=version)).payload == b"2"


async def test_an_internal_extension_is_waited_for_like_an_external_one() -> None:
    go_on = asyncio.Event()
    async with Machine(((WaitFor(go_on), Echo()),)) as machine:
        invoked = asyncio.create_task(machine.invoke(b"1"))
        await until(lambda: bool(machine.driver.sandboxes) and sandbox(machine).starts == 1)
        done = asyncio.Event()
        steps: Steps = (Register(("INVOKE",)), NextEvent(), WaitFor(done), NextEvent())
        thread = ScriptedExtension("thread", steps, sandbox(machine)._address, -1)
        running = asyncio.create_task(thread.run())
        await until(lambda: bool(thread.identifier))
        go_on.set()
        assert (await within(invoked)).payload == b"1"
        assert "EXTENSION\tName: thread\tState: Ready\tEvents: [INVOKE]\n" in machine.log.lines
        assert machine.in_use() == 1
        late = ScriptedExtension("late", (Register(()),), sandbox(machine)._address, -1)
        await within(late.run())
        assert orjson.loads(late.replies[0].body)["errorType"] == "Extension.RegistrationClosed"
        done.set()
        await until(lambda: machine.in_use() == 0)
        running.cancel()
        await asyncio.wait({running})


# Shutdown and Reset


@pytest.mark.parametrize(
    ("external", "internal", "allowed"),
    [
        (0, 0, Budget(0.0, 0.0)),
        (0, 1, Budget(0.5, 0.5)),
        (1, 0, Budget(0.6, 2.0)),
        (3, 7, Budget(0.6, 2.0)),
    ],
)
def test_the_time_to_end_depends_on_the_kinds_of_extensions(external: int, internal: int, allowed: Budget) -> None:
    assert budget(external=external, internal=internal) == allowed


async def test_an_eviction_ends_the_runtime_first_then_tells_the_extensions() -> None:
    clock = ManualClock()
    async with Machine(extensions={"agent": SERVE, "deaf": (Serve(("INVOKE",)),)}, clock=clock) as machine:
        await machine.invoke()
        await until(lambda: machine.in_use() == 0)
        machine.driver.order.clear()
        machine.pool.retire(machine.environment.version.deployment_id)
        await until(lambda: not list(machine.pool.environments))
        assert machine.driver.order[:3] == ["SIGTERM to runtime", "SIGKILL to deaf", "agent SHUTDOWN"]
        assert sorted(machine.driver.order[3:]) == ["agent ends", "deaf ends"]
        assert extension(machine).events[-1] == {
            "eventType": "SHUTDOWN",
            "deadlineMs": clock.epoch_ms() + 2000,
            "shutdownReason": "spindown",
        }


async def test_a_runtime_that_ignores_sigterm_is_killed_after_its_share() -> None:
    clock = ManualClock()
    async with Machine(extensions={"agent": SERVE}, clock=clock) as machine:
        await machine.invoke()
        await until(lambda: machine.in_use() == 0)
        sandbox(machine).ignores_sigterm = True
        machine.pool.retire(machine.environment.version.deployment_id)
        await until(lambda: sandbox(machine).terminated == [("runtime", False)])
        await clock.advance(0.5)
        assert sandbox(machine).terminated == [("runtime", False)]
        await clock.advance(0.2)
        await until(lambda: not list(machine.pool.environments))
        assert sandbox(machine).terminated == [("runtime", False), ("runtime", True)]


async def test_an_extension_that_does_not_end_is_killed_when_the_time_is_over() -> None:
    clock = ManualClock()
    stubborn: Steps = (Register(), NextEvent(), NextEvent(), Say(b"told\n"), Hang())
    async with Machine(extensions={"agent": stubborn}, clock=clock) as machine:
        await machine.invoke()
        await until(lambda: machine.in_use() == 0)
        machine.pool.retire(machine.environment.version.deployment_id)
        await until(lambda: "told\n" in machine.log.lines)
        await clock.advance(1.9)
        assert list(machine.pool.environments)
        await clock.advance(0.2)
        await until(lambda: not list(machine.pool.environments))


async def test_a_timeout_tells_why_and_keeps_the_environment() -> None:
    clock = ManualClock()
    async with Machine(((Next(), Hang()), (Echo(),)), extensions={"agent": SERVE}, clock=clock) as machine:
        invoked = asyncio.create_task(machine.invoke())
        await until(lambda: "agent INVOKE" in machine.driver.order)
        await clock.advance(3)
        assert (await within(invoked)).error_type == "Sandbox.Timedout"
        assert extension(machine).events[-1]["shutdownReason"] == "timeout"
        assert machine.log.lines[-1].endswith("\tStatus: timeout\n")
        assert (await machine.invoke(b"2")).payload == b"2"
        assert len(machine.log.streams) == 1


async def test_the_exit_of_a_runtime_tells_extensions_of_a_failure() -> None:
    async with Machine(((Next(), Exit(1)), (Echo(),)), extensions={"agent": SERVE}) as machine:
        result = await machine.invoke()
        assert error(result.payload) == ("Runtime.ExitError", says("Runtime exited with error: exit status 1"))
        assert extension(machine).events[-1]["shutdownReason"] == "failure"


async def test_without_extensions_nobody_is_asked_to_end() -> None:
    async with Machine(ECHO) as machine:
        await machine.invoke()
        made = sandbox(machine)
    assert made.terminated == []


async def test_the_end_of_the_server_shuts_down_all_environments_at_once() -> None:
    async with Machine(extensions={"agent": SERVE}) as machine:
        await asyncio.gather(*(machine.invoke(b"%d" % number) for number in range(20)))
        made = list(machine.driver.sandboxes)
        await within(machine.pool.close(1.0), 5)
        told = [each.events[-1]["eventType"] for box in made for each in box.scripted["agent"]]
        assert told == ["SHUTDOWN"] * len(made)


async def test_a_new_environment_waits_for_the_one_that_shuts_down() -> None:
    clock = ManualClock()
    stubborn: Steps = (Register(), NextEvent(), NextEvent(), Hang())
    async with Machine(extensions={"agent": stubborn}, clock=clock, max_environments=1) as machine:
        await machine.invoke()
        await until(lambda: machine.in_use() == 0)
        other = function_version(name="other", deployment_id="deployment-2")
        invoked = asyncio.create_task(machine.invoke(version=other))
        await until(lambda: len(extension(machine).events) == 2)
        assert len(machine.driver.sandboxes) == 1
        await clock.advance(2.0)
        assert (await within(invoked)).payload == b"{}"
        assert machine.driver.sandboxes[0].stopped


# What is in /opt/extensions


def test_extensions_are_the_files_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "extensions" / "folder").mkdir(parents=True)
    for name in ("b", "a"):
        (tmp_path / "extensions" / name).touch()
    (tmp_path / "extensions" / "link").symlink_to("/etc/passwd")
    assert extension_files.find(tmp_path) == ("a", "b", "link")


def test_without_layers_or_folder_there_are_none(tmp_path: Path) -> None:
    assert extension_files.find(None) == ()
    assert extension_files.find(tmp_path) == ()


def test_a_folder_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "extensions").symlink_to("/etc")
    assert extension_files.find(tmp_path) == ()


def test_a_file_in_opt_turns_extensions_off(tmp_path: Path) -> None:
    (tmp_path / "extensions").mkdir()
    (tmp_path / "extensions" / "agent").touch()
    (tmp_path / "disable-extensions-jwigqn8j").touch()
    assert extension_files.find(tmp_path) is None
