"""An interpreter that was started before its function was known is, for the function, one that was exec'd for it."""

import json
import os
import shutil
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lambent.environments.events import HowStarted
from lambent.environments.sandbox.memory import processes
from lambent.environments.sandbox.native import NativeDriver
from lambent.environments.sandbox.ports import Preparation, SandboxError, SandboxSpec
from lambent.runtimes.python.runtime import PythonRuntime
from tests.e2e.origins import SAID_ONCE, begin, children, driver_for, runtime_of, said, spec_of
from tests.e2e.sandbox_kit import launcher_pid, until

DUMP = """
import builtins, gc, json, locale, logging, os, resource, signal, stat, sys, threading, time

def files():
    found = {}
    for fd in range(64):
        try:
            kind = stat.S_IFMT(os.fstat(fd).st_mode)
        except OSError:
            continue
        found[fd] = [kind, os.get_inheritable(fd), os.get_blocking(fd)]
    return found

def status(*names):
    lines = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
    return {name: lines[name].split() for name in names}

def handlers():
    found = {}
    for number in range(1, 65):
        try:
            found[number] = str(signal.getsignal(number))
        except ValueError:
            pass
    return found

def writable(path):
    try:
        open(path, "a").close()
        return True
    except OSError as error:
        return str(error)

import mine
state = {
    "path": sys.path, "argv": sys.argv, "flags": str(sys.flags), "executable": sys.executable,
    "orig_argv": getattr(sys, "orig_argv", None), "prefixes": [sys.prefix, sys.exec_prefix, sys.base_prefix],
    "xoptions": sys._xoptions, "warnoptions": sys.warnoptions, "environ": dict(os.environ), "cwd": os.getcwd(),
    "ids": [os.getresuid(), os.getresgid(), os.getgroups(), os.getpid(), os.getppid(), os.getsid(0), os.getpgrp()],
    "zone": [time.tzname, time.timezone, time.localtime(0)[:5]], "umask": os.umask(0o022), "files": files(),
    "locale": [locale.setlocale(locale.LC_ALL), locale.getpreferredencoding(False), sys.getfilesystemencoding()],
    "streams": [[s.encoding, s.errors, s.fileno(), s.isatty(), s.line_buffering]
                for s in (sys.stdin, sys.stdout, sys.stderr)],
    "limits": {n: resource.getrlimit(getattr(resource, n)) for n in dir(resource) if n.startswith("RLIMIT_")},
    "cmdline": open("/proc/self/cmdline").read(), "comm": open("/proc/self/comm").read(),
    "exe": os.readlink("/proc/self/exe"), "root": os.readlink("/proc/self/root"),
    "status": status("Uid", "Gid", "Groups", "NoNewPrivs", "Seccomp", "Seccomp_filters", "SigBlk", "SigIgn", "SigCgt",
                     "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "Threads", "NSpid", "Umask"),
    "handlers": handlers(), "niceness": os.nice(0), "meta": [type(f).__name__ for f in sys.meta_path],
    "hooks": [str(h).split(" at ")[0] for h in sys.path_hooks], "builtins": sorted(dir(builtins)),
    "stack": [f.f_code.co_name for f in sys._current_frames().values()], "threads": threading.active_count(),
    "depth": sys.getrecursionlimit(), "gc": [gc.get_threshold(), gc.isenabled(), gc.callbacks],
    "root logger": [logging.getLogger().level, [type(h).__name__ for h in logging.getLogger().handlers]],
    "mounts": sorted(l.split()[1] for l in open("/proc/self/mounts")), "opt": sorted(os.listdir("/opt")),
    "own": [os.access("/proc/self/environ", os.R_OK), writable("/proc/self/oom_score_adj"), writable("/dev/stdout")],
    "tmp": [os.listdir("/tmp"), os.statvfs("/tmp").f_blocks], "mine": mine.__file__, "name": __name__,
    "cgroup": open("/proc/self/cgroup").read(), "maps": sorted({l.split()[5] for l in open("/proc/self/maps")
        if len(l.split()) > 5 and l.split()[5].endswith(("bin/python%d.%d" % sys.version_info[:2], "libc.so.6"))}),
    "ours": sorted(name for name in sys.modules if name.startswith("lambent.")),
}
import ctypes
state["dumpable"] = ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)
state["deathsig"] = (lambda v: (ctypes.CDLL(None).prctl(2, ctypes.byref(v), 0, 0, 0), v.value))(ctypes.c_int(9))
print(json.dumps(state))
print("-- end --")
def handler(event, context): pass
"""


@pytest.fixture
def runtime() -> PythonRuntime:
    return runtime_of()


@pytest.fixture
async def driver(tmp_path: Path, runtime: PythonRuntime) -> AsyncIterator[NativeDriver]:
    made = driver_for(tmp_path, runtime)
    try:
        yield made
    finally:
        await made.close()


async def state(driver: NativeDriver, spec: SandboxSpec, how: HowStarted) -> dict[str, Any]:
    sandbox = await begin(driver, spec, how)
    try:
        found: dict[str, Any] = json.loads(await said(sandbox))
    finally:
        await sandbox.stop()
    return found


CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "variables": {"variables": {"TZ": "Asia/Tokyo", "Ä": "ö=\n ", "HOME": "/nowhere", "PATH": "/opt/x"}},
    "path": {"variables": {"PYTHONPATH": "/opt/vendored:/var/task/lib::/var/runtime".replace("::", ":")}},
    "layers": {"opt": {"python/layer.py": "", "lib/nothing": ""}},
    "instrumentation": {
        "variables": {"PYTHONPATH": "/opt/wrapped:/var/runtime"},
        "opt": {"wrapped/sitecustomize.py": "import logging, sys\nsys.argv.append('x')\nprint('hello from the layer')"},
    },
    "sizes": {"tmp_mb": 1024, "memory_mb": 512},
}


@pytest.mark.parametrize("how", [HowStarted.POOLED, HowStarted.FORKED])
@pytest.mark.parametrize("case", CASES)
async def test_function_finds_what_it_would_find_in_a_runtime_of_its_own(
    driver: NativeDriver, tmp_path: Path, runtime: PythonRuntime, case: str, how: HowStarted
) -> None:
    spec = spec_of(tmp_path, runtime, DUMP, **CASES[case])
    assert not spec.must_exec
    source = DUMP.replace("print(json", "print(chr(10) + json") if case == "instrumentation" else DUMP
    (spec.code_dir / "main.py").write_text(source)
    texts = []
    for each in (HowStarted.EXECUTED, how):
        sandbox = await begin(driver, spec, each)
        texts.append(await said(sandbox))
        await sandbox.stop()
    expected, found = (json.loads(text.strip().splitlines()[-1]) for text in texts)
    assert {name: found[name] for name in found if found[name] != expected[name]} == {
        name: expected[name] for name in found if found[name] != expected[name]
    }
    if case == "instrumentation":
        assert all("hello from the layer" in text for text in texts)


async def test_function_that_must_have_a_process_of_its_own_has_one(
    driver: NativeDriver, tmp_path: Path, runtime: PythonRuntime
) -> None:
    variables = {"PYTHONHASHSEED": "7", "PYTHONDONTWRITEBYTECODE": "1"}
    spec = spec_of(tmp_path, runtime, DUMP, variables=variables)
    assert spec.must_exec
    prepared = await driver.prepare(Preparation(runtime.start))
    sandbox = await prepared.assign(spec)
    found = json.loads(await said(sandbox))
    assert found["environ"]["PYTHONHASHSEED"] == "7"
    assert "dont_write_bytecode=1" in found["flags"]
    await sandbox.stop()


async def test_runtime_after_a_reset_is_exec_d(driver: NativeDriver, tmp_path: Path, runtime: PythonRuntime) -> None:
    sandbox = await begin(driver, spec_of(tmp_path, runtime, DUMP), HowStarted.POOLED)
    first = json.loads(await said(sandbox))
    assert await sandbox.kill()
    second = json.loads(await said(sandbox))
    assert first["environ"] == second["environ"]
    await sandbox.stop()


@pytest.mark.parametrize("how", [HowStarted.POOLED, HowStarted.FORKED])
async def test_what_most_functions_import_is_there_already(
    driver: NativeDriver, tmp_path: Path, runtime: PythonRuntime, how: HowStarted
) -> None:
    source = f"""
        import sys
        print("json" in sys.modules, "logging" in sys.modules)
        found = []
        sys.addaudithook(lambda event, args: event == "open" and found.append(args[0]))
        import json, logging
        found = [name for name in found if isinstance(name, str)]
        print(found, logging is sys.modules["logging"], logging.getLogger().handlers[0].__class__.__name__)
        import logging.handlers
        print(logging.handlers.logging is logging, logging.__spec__.name, logging.__file__)
        print("{SAID_ONCE}")
        def handler(event, context): pass
    """
    sandbox = await begin(driver, spec_of(tmp_path, runtime, source), how)
    lines = (await said(sandbox)).splitlines()
    assert lines[:2] == ["True False", "[] True LambdaLoggerHandler"]
    assert lines[2].startswith("True logging /var/lang/")
    await sandbox.stop()


@pytest.mark.parametrize("how", [HowStarted.POOLED, HowStarted.FORKED])
async def test_modules_that_were_imported_before_do_what_they_must_at_forks_of_the_function(
    driver: NativeDriver, tmp_path: Path, runtime: PythonRuntime, how: HowStarted
) -> None:
    source = f"""
        import os, sys
        before = "threading" in sys.modules
        import logging
        threading = sys.modules["threading"]
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        pid = os.fork()
        if pid == 0:
            logging.getLogger("of the child")
            os._exit(threading.active_count())
        ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        print(f"there {{before}}, in the child {{ended}}, in the parent {{threading.active_count()}}")
        print("{SAID_ONCE}")
        def handler(event, context): pass
    """
    sandbox = await begin(driver, spec_of(tmp_path, runtime, source), how)
    assert "there False, in the child 1, in the parent 2" in await said(sandbox)
    await sandbox.stop()


async def test_waiting_interpreter_that_died_costs_only_time(
    driver: NativeDriver, tmp_path: Path, runtime: PythonRuntime
) -> None:
    prepared = await driver.prepare(Preparation(runtime.start))
    for pid in _processes(prepared._fds):
        os.kill(pid, signal.SIGKILL)
    await until(lambda: not _processes(prepared._fds))
    sandbox = await prepared.assign(spec_of(tmp_path, runtime, DUMP))
    assert json.loads(await said(sandbox))["cwd"] == "/var/task"
    await sandbox.stop()


def _processes(fds: Any) -> list[int]:
    return processes(fds.get("procs1", fds.get("procs2")))


def _of(pid: int, name: str) -> bytes:
    return Path(f"/proc/{pid}/{name}").read_bytes()


def _libm() -> str:
    """A library, of this process."""
    return next(line.split()[5] for line in _of(os.getpid(), "maps").decode().splitlines() if "libm" in line)


async def test_waiting_interpreter_holds_nothing_and_can_do_nothing(
    driver: NativeDriver, runtime: PythonRuntime
) -> None:
    prepared = await driver.prepare(Preparation(runtime.start))
    (pid,) = _processes(prepared._fds)
    status = dict(line.split(":\t", 1) for line in _of(pid, "status").decode().splitlines())
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert all(int(number) >= 0x7000_0000 for number in status["Uid"].split())
    variables = _of(pid, "environ").split(b"\0")
    assert {each.partition(b"=")[0] for each in variables if each} == {
        *(name.encode() for name in runtime.start.variables),
        b"_LAMBENT_START_FD",
    }
    await prepared.stop()
    await until(lambda: not Path(f"/proc/{pid}").exists())


async def test_interpreter_that_was_not_agreed_at_start_is_not_prepared(
    driver: NativeDriver, runtime: PythonRuntime
) -> None:
    other = replace(runtime.start, argv=("/bin/sh",))
    with pytest.raises(SandboxError, match="was not there"):
        await driver.prepare(Preparation(other))


async def test_library_of_a_layer_is_found_by_its_name(
    driver: NativeDriver, tmp_path: Path, runtime: PythonRuntime
) -> None:
    """The dynamic linker remembers which folders did not exist when it first looked."""
    source = f"""
        import ctypes
        print(ctypes.CDLL("libfrom_layer.so")._name)
        print("{SAID_ONCE}")
        def handler(event, context): pass
    """
    for how in (HowStarted.EXECUTED, HowStarted.POOLED, HowStarted.FORKED):
        spec = spec_of(tmp_path, runtime, source, opt={"lib/mark": ""})
        assert spec.opt_dir is not None
        shutil.copyfile(_libm(), spec.opt_dir / "lib/libfrom_layer.so")
        sandbox = await begin(driver, spec, how)
        assert await said(sandbox) == "libfrom_layer.so\n"
        await sandbox.stop()


async def test_runtime_is_the_very_process_that_waited(
    driver: NativeDriver, tmp_path: Path, runtime: PythonRuntime
) -> None:
    spec = spec_of(tmp_path, runtime, DUMP)
    await driver.start_zygote(spec.account, runtime.start)
    for zygote_of, mark in ((None, b"_LAMBENT_START_FD"), (spec.account, b"_LAMBENT_ZYGOTE")):
        sandbox = await (await driver.prepare(Preparation(runtime.start, zygote_of))).assign(spec)
        await said(sandbox)
        (pid,) = sandbox.processes()
        assert mark in _of(pid, "environ")
        await sandbox.stop()


async def test_zygotes_are_counted_end_when_told_and_are_missed_when_they_die(
    driver: NativeDriver, tmp_path: Path, runtime: PythonRuntime
) -> None:
    wish = Preparation(runtime.start, "111111111111")
    with pytest.raises(SandboxError, match="no zygote"):
        await driver.prepare(wish)
    for account in ("111111111111", "222222222222", "111111111111"):
        await driver.start_zygote(account, runtime.start)
    assert set(driver.zygotes) == {(account, runtime.identifier) for account in ("111111111111", "222222222222")}
    pids = children(launcher_pid(driver))
    assert len(pids) == 2
    prepared = await driver.prepare(wish)
    await driver.stop_zygote("111111111111", runtime.start)
    await until(lambda: not Path(f"/proc/{pids[0]}").exists())
    sandbox = await prepared.assign(spec_of(tmp_path, runtime, DUMP))
    assert json.loads(await said(sandbox))["ours"] == []
    with pytest.raises(SandboxError, match="no zygote"):
        await driver.prepare(wish)
    os.kill(pids[1], signal.SIGKILL)
    await until(lambda: not driver.zygotes)
    await sandbox.stop()
    await driver.stop_zygote("222222222222", runtime.start)
    await until(lambda: children(launcher_pid(driver)) == [])


async def test_zygote_that_hangs_costs_a_refusal_and_its_life(
    driver: NativeDriver, tmp_path: Path, runtime: PythonRuntime
) -> None:
    await driver.start_zygote("111111111111", runtime.start)
    (pid,) = children(launcher_pid(driver))
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(SandboxError):
        await driver.prepare(Preparation(runtime.start, "111111111111"))
    await until(lambda: not driver.zygotes)
    sandbox = await driver.create(spec_of(tmp_path, runtime, DUMP))
    await said(sandbox)
    await sandbox.stop()


async def test_zygote_holds_nothing_of_a_function(driver: NativeDriver, tmp_path: Path, runtime: PythonRuntime) -> None:
    await driver.start_zygote("111111111111", runtime.start)
    (pid,) = children(launcher_pid(driver))
    before = _fds(pid)
    for number in range(3):
        spec = spec_of(tmp_path, runtime, DUMP, variables={"SECRET": f"secret-{number}-of-a-function"})
        prepared = await driver.prepare(Preparation(runtime.start, "111111111111"))
        sandbox = await prepared.assign(spec)
        await said(sandbox)
        if number:
            await sandbox.stop()
    assert _fds(pid) == before
    assert _of(pid, "mountinfo").count(b"/var/task") == 0
    assert b"of-a-function" not in _memory(pid)
    await sandbox.stop()


def _fds(pid: int) -> list[str]:
    return sorted(os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir())


def _memory(pid: int) -> bytes:
    """What it may write, all of it."""
    taken = []
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in _of(pid, "maps").decode().splitlines():
            span, rights, *_ = line.split()
            start, end = (int(each, 16) for each in span.split("-"))
            if rights.startswith("rw"):
                memory.seek(start)
                taken.append(memory.read(end - start))
    return b"".join(taken)


async def test_python_without_what_the_launcher_needs_has_no_zygote(tmp_path: Path) -> None:
    old = runtime_of("3.9")
    driver = driver_for(tmp_path, old)
    try:
        with pytest.raises(SandboxError):
            await driver.start_zygote("111111111111", old.start)
        assert not driver.zygotes
        spec = spec_of(tmp_path, old, DUMP)
        found = [await state(driver, spec, how) for how in (HowStarted.EXECUTED, HowStarted.POOLED)]
        assert found[0] == found[1]
    finally:
        await driver.close()


@pytest.mark.parametrize("version", ["3.10", "3.12", "3.13", "3.14"])
async def test_other_versions_fork_and_wait_alike(tmp_path: Path, version: str) -> None:
    other = runtime_of(version)
    driver = driver_for(tmp_path, other)
    try:
        spec = spec_of(tmp_path, other, DUMP)
        kinds = (HowStarted.EXECUTED, HowStarted.POOLED, HowStarted.FORKED)
        executed, pooled, forked = [await state(driver, spec, how) for how in kinds]
        assert pooled == executed
        assert forked == executed
    finally:
        await driver.close()
