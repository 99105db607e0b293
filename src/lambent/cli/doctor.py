"""`lambent doctor`: what this machine can and cannot do, and the command that mends it. Changes nothing."""

import asyncio
import json
import os
import tempfile
import time
from pathlib import Path

import click

from lambent import __version__
from lambent.cli import diagnosis, machine, options
from lambent.cli.client import Client, Credentials
from lambent.cli.diagnosis import Finding, Verdict
from lambent.cli.failure import FUNCTION_FAILED, Failure
from lambent.cli.runtimes import survey
from lambent.cli.table import aligned
from lambent.core.settings import Settings
from lambent.environments.sandbox.contained import ContainedDriver
from lambent.environments.sandbox.probe import SandboxUnavailable, choose
from lambent.launcher.client import Egress, LauncherClient, LauncherError
from lambent.launcher.starting import begin
from lambent.launcher.wire import EGRESS_STARTING
from lambent.store import datadir

_WAY_OUT_S = 3.0
MARKS = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "red"}


@click.command()
@options.config
@options.as_json
@click.pass_context
def doctor(ctx: click.Context, config: Path | None, as_json: bool) -> None:
    """Say what this machine can and cannot do, and what mends it. The exit code is 1 when nothing could run."""
    findings = examine(options.settings({}, config))
    failed = any(finding.verdict is Verdict.FAIL for finding in findings)
    if as_json:
        click.echo(json.dumps({"version": __version__, "findings": [f.as_json() for f in findings]}, indent=2))
    else:
        click.echo(f"lambent {__version__}")
        for line in render(findings):
            click.echo(line)
    ctx.exit(FUNCTION_FAILED if failed else 0)


def examine(settings: Settings) -> list[Finding]:
    findings = diagnosis.diagnose(machine.examine())
    sandbox, other_users = _sandbox(settings)
    findings.extend(sandbox)
    findings.append(_runtimes(settings, other_users=other_users))
    findings.append(_port(settings))
    findings.append(_data_dir(settings.data_dir))
    if settings.database is not None:
        findings.append(_database(settings.database))
    return findings


def render(findings: list[Finding]) -> list[str]:
    texts = [f.text.split("\n") for f in findings]
    rows = [(f" {f.verdict.value:<4}", f.subject, first) for f, (first, *_) in zip(findings, texts, strict=True)]
    lines: list[str] = []
    for finding, (first, *more), line in zip(findings, texts, aligned(rows), strict=True):
        mark = finding.verdict.value
        lines.append(line.replace(mark, click.style(mark, fg=MARKS[finding.verdict]), 1))
        if finding.mend is not None:
            more.append(f"mend: {finding.mend}")
        lines += [" " * line.index(first) + each for each in more]
    return lines


def _sandbox(settings: Settings) -> tuple[list[Finding], bool]:
    """Build one sandbox, as a start would, look at it from inside, end it; and see whether there is a way out.

    And whether functions are other users, who see of the machine what everybody may.
    """
    no_internet = None
    with tempfile.TemporaryDirectory(prefix="lambent-doctor-") as folder:
        packages = Path(folder) / "packages"
        packages.mkdir()
        launcher, problem = None, None
        try:
            if not (settings.sandbox == "process" and os.geteuid() != 0):
                launcher = begin(
                    data_dir=Path(folder),
                    packages_dir=packages,
                    prefixes=[],
                    runtime_entries={},
                    wanted=settings.sandbox,
                    egress=Egress(settings.egress, settings.egress_allow),
                    oci_runtime=settings.oci_runtime,
                ).await_ready()
        except LauncherError as error:
            problem = str(error)
        try:
            choice = asyncio.run(
                choose(
                    settings.sandbox,
                    launcher=launcher,
                    problem=problem,
                    packages_dir=packages,
                    scratch=Path(folder) / "run",  # It is emptied.
                    runtime_entries={},
                )
            )
        except SandboxUnavailable as error:
            return [Finding("sandbox", Verdict.FAIL, str(error), "lambent up --sandbox auto")], False
        finally:
            if launcher is not None:
                no_internet = _no_internet(launcher)
                launcher.close()
    sandbox = diagnosis.sandbox(choice.driver.name, choice.driver.guarantees, choice.missing, choice.reason)
    findings = [sandbox, diagnosis.internet(choice.driver.name, settings.egress, no_internet)]
    return findings, isinstance(choice.driver, ContainedDriver)


def _no_internet(launcher: LauncherClient) -> str | None:
    """Why sandboxes do not reach it, once what starts has had its time."""
    launcher.want_egress()
    deadline = time.monotonic() + _WAY_OUT_S
    while (problem := launcher.egress_problem()) == EGRESS_STARTING and time.monotonic() < deadline:
        time.sleep(0.01)
    return problem


def _runtimes(settings: Settings, *, other_users: bool) -> Finding:
    found = survey(settings, other_users=other_users)
    served = {each.identifier: each.executable for each in found if each.executable and not each.reason}
    missing = [each for each in found if each.identifier not in served]
    mend = next((each.mend for each in reversed(missing) if each.mend), None)
    return diagnosis.runtimes(served, [each.identifier for each in missing], mend)


def _port(settings: Settings) -> Finding:
    free = machine.why_not_listen(settings.host, settings.port) is None
    ours = False
    if not free:
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        try:
            Client(f"http://{host}:{settings.port}", Credentials.from_variables({})).health()
            ours = True
        except Failure:
            pass
    return diagnosis.port(settings.host, settings.port, free=free, ours=ours)


def _data_dir(path: Path) -> Finding:
    existing = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    if not path.exists() and os.access(existing, os.W_OK | os.X_OK):
        return Finding("data dir", Verdict.OK, f"{path} will be made by the first start")
    mend = "lambent up --data-dir DIR"
    if not path.is_dir() or not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        return Finding("data dir", Verdict.FAIL, f"{path}: {existing} cannot be written", mend)
    try:
        datadir.check(path)
    except datadir.DataDirError as error:
        return Finding("data dir", Verdict.FAIL, str(error), mend)
    return Finding("data dir", Verdict.OK, str(path))


def _database(url: str) -> Finding:
    mend = "lambent up --database postgresql://USER@HOST/NAME"
    try:
        # Here and not above: the driver is an extra.
        from lambent.store import postgres
    except ModuleNotFoundError as error:
        text = f"PostgreSQL needs the Python package {error.name}"
        return Finding("database", Verdict.FAIL, text, "pip install 'lambent[postgres]'")
    try:
        text, warnings = postgres.examine(url)
    except datadir.DataDirError as error:
        return Finding("database", Verdict.FAIL, str(error), mend)
    if warnings:
        return Finding("database", Verdict.WARN, "\n".join([text, *warnings]), None)
    return Finding("database", Verdict.OK, text)
