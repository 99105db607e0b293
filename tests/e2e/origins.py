"""Sandboxes of every origin with the real bootstrap inside: exec'd, waiting, forked by a zygote."""

import os
import sys
import textwrap
from pathlib import Path

import pytest

from lambent.environments.events import HowStarted
from lambent.environments.sandbox.launched import NativeSandbox
from lambent.environments.sandbox.native import NativeDriver
from lambent.environments.sandbox.ports import Preparation, SandboxSpec
from lambent.runtimes import interpreters
from lambent.runtimes.python.files import runtime_files
from lambent.runtimes.python.runtime import PythonRuntime
from lambent.runtimes.starting import must_exec
from lambent.runtimes.variables import Process
from tests.e2e.sandbox_kit import launcher_in, until

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
SAID_ONCE = "-- end --"
"""What a handler of these tests prints last when it is imported."""
SILENT = f"print('{SAID_ONCE}')\ndef handler(event, context): pass\n"


def runtime_of(version: str = VERSION) -> PythonRuntime:
    """Of the interpreter that runs the tests, or another of this machine."""
    found = interpreters.find_all(version, interpreters.places(dict(os.environ)))
    if not found:
        pytest.skip(f"no Python {version} here")
    return PythonRuntime(f"python{version}", found[0])


def driver_for(tmp_path: Path, runtime: PythonRuntime) -> NativeDriver:
    options = {"prefixes": [runtime.prefix], "runtime_entries": runtime_files()}
    return NativeDriver(launcher_in(tmp_path, runtime.start, **options))


def spec_of(
    tmp_path: Path,
    runtime: PythonRuntime,
    source: str = SILENT,
    *,
    variables: dict[str, str] | None = None,
    opt: dict[str, str] | None = None,
    tmp_mb: int = 512,
    memory_mb: int = 256,
) -> SandboxSpec:
    code = tmp_path / "packages" / "code"
    code.mkdir(exist_ok=True)
    (code / "main.py").write_text(textwrap.dedent(source))
    (code / "mine.py").write_text("")
    layers = tmp_path / "packages" / "opt"
    for name, text in (opt or {}).items():
        (layers / name).parent.mkdir(parents=True, exist_ok=True)
        (layers / name).write_text(text)
    process = Process(
        runtime=runtime.identifier,
        handler="main.handler",
        function_name="f",
        function_version="1",
        memory_mb=memory_mb,
        region="eu-west-1",
        log_group="/aws/lambda/f",
        log_stream="s",
        access_key_id="A",
        secret_access_key="S",
        session_token="T",
        variables=variables or {},
    )
    return SandboxSpec(
        environment_id="env",
        command=runtime.command(process),
        code_dir=code,
        lang_prefix=runtime.prefix,
        memory_mb=memory_mb,
        cpus=1.0,
        tmp_mb=tmp_mb,
        opt_dir=layers if opt else None,
        account="123456789012",
        runtime=runtime.start,
        must_exec=must_exec(variables or {}, runtime.start),
    )


async def said(sandbox: NativeSandbox) -> str:
    """What it printed up to the end of the import of its handler."""
    text = b""

    def complete() -> bool:
        nonlocal text
        try:
            text += os.read(sandbox.output_fd, 1 << 16)
        except BlockingIOError:
            pass
        return SAID_ONCE.encode() in text

    await sandbox.start()
    try:
        await until(complete)
    except TimeoutError:
        raise AssertionError(f"it only said {text.decode(errors='replace')}") from None
    return text.decode(errors="replace").partition(SAID_ONCE)[0]


async def begin(driver: NativeDriver, spec: SandboxSpec, how: HowStarted) -> NativeSandbox:
    if how is HowStarted.EXECUTED:
        return await driver.create(spec)
    assert spec.runtime is not None
    zygote_of = None
    if how is HowStarted.FORKED:
        zygote_of = spec.account
        await driver.start_zygote(spec.account, spec.runtime)
    prepared = await driver.prepare(Preparation(spec.runtime, zygote_of))
    assert prepared.how is how
    return await prepared.assign(spec)


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
