"""`lambent up`: take the data dir, start the launcher, give up privileges, then import and run the server.

The order is the point: whatever parses requests or archives is imported after the way back to root is shut. Nothing
that this module imports at its top does.
"""

import gc
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import click

import lambent
from lambent.cli import options
from lambent.cli.failure import CANNOT_START, USAGE, Failure
from lambent.cli.help import Sectioned
from lambent.cli.machine import why_not_listen
from lambent.cli.runtimes import catalog as catalog_of
from lambent.cli.up_words import one_line_failures, say_ready
from lambent.core import log
from lambent.core.setting_values import (
    SettingsError,
    database,
    is_endpoint,
    networks,
    prewarm,
    user_range,
    vpc_services,
)
from lambent.core.settings import EGRESS, LOG_LEVELS, RUNTIME_FALLBACKS, SANDBOXES, Settings
from lambent.gateway.hosts import check_bind
from lambent.launcher import privileges, starting
from lambent.launcher.client import Egress, LauncherClient, LauncherError
from lambent.launcher.privileges import Identity, PrivilegesError
from lambent.runtimes.catalog import Catalog, RuntimeUnavailable
from lambent.runtimes.custom.runtime import LANG
from lambent.runtimes.python.files import runtime_files
from lambent.runtimes.python.runtime import PythonRuntime
from lambent.store.datadir import DataDir


class _Up(Sectioned):
    sections: ClassVar[Mapping[str, Sequence[str]]] = {
        "Where it serves, and what it keeps": (
            "host",
            "port",
            "allowed_hosts",
            "data_dir",
            "database",
            "user",
            "config",
        ),
        "Functions": (
            "sandbox",
            "oci_runtime",
            "function_users",
            "runtime_fallback",
            "interpreters",
            "deprecated_runtimes",
            "signing_profiles",
        ),
        "How many and how fast": (
            "account_concurrency",
            "max_environments",
            "idle_environment_s",
            "prewarm",
            "fork_latest",
            "criu",
            "quotas",
        ),
        "Networks and other services": ("egress", "egress_allow", "vpc_services", "endpoints", "moto_memory_mb"),
        "Logs and the bill": ("log_retention_days", "log_disk_mb", "log_level", "prices"),
        "Development and tests": ("virtual_clock", "allow_reset", "until_stdin_ends"),
    }


@click.command(cls=_Up)
@click.option("--host", metavar="ADDRESS", help="Address to serve on; loopback only.  [default: 127.0.0.1]")
@click.option("--port", type=options.Whole(0, 65_535), help="Port; 0 takes a free one.  [default: 4566]")
@click.option(
    "--data-dir", metavar="DIR", type=click.Path(path_type=Path), help="Where all state is kept.  [default: .lambent]"
)
@click.option(
    "--database",
    metavar="URL",
    help="PostgreSQL for the state, as postgresql://USER@HOST/NAME.  [default: SQLite in the data dir]",
)
@click.option("--sandbox", type=click.Choice(SANDBOXES), help="What isolates functions.  [default: auto]")
@click.option("--egress", type=click.Choice(EGRESS), help="How functions reach the internet.  [default: auto]")
@click.option(
    "--function-users",
    metavar="START:COUNT",
    help="In a container: numbers that functions get as users.  [default: the upper half]",
)
@click.option(
    "--egress-allow",
    "egress_allow",
    multiple=True,
    metavar="NETWORK",
    help="A private network that functions reach, as 10.1.0.0/16.",
)
@click.option(
    "--vpc-service",
    "vpc_services",
    multiple=True,
    metavar="ADDRESS=TARGET",
    help="A service that VPCs have, as 10.0.1.10:5432=127.0.0.1:5432.",
)
@click.option(
    "--oci-runtime", metavar="PROGRAM", help="Of the oci sandbox: a name or a path.  [default: the first found]"
)
@click.option(
    "--criu",
    metavar="none|auto|PATH",
    help="Restores versions with SnapStart that cannot be forked; weaker walls.  [default: none]",
)
@click.option(
    "--user", metavar="USER", help="Started as root: become this user.  [default: the caller of sudo, else root]"
)
@click.option(
    "--allow-reset/--no-allow-reset", default=None, help="Let anyone who can connect drop all state.  [default: no]"
)
@click.option(
    "--virtual-clock/--no-virtual-clock",
    default=None,
    help="Let `lambent clock advance` move the time of retries and ages.  [default: no]",
)
@click.option(
    "--allowed-host",
    "allowed_hosts",
    multiple=True,
    metavar="NAME",
    help="A further name clients may call this server by.",
)
@click.option(
    "--runtime-fallback", type=click.Choice(RUNTIME_FALLBACKS), help="For a Python that is missing.  [default: none]"
)
@click.option(
    "--interpreter",
    "interpreters",
    multiple=True,
    metavar="RUNTIME=PATH",
    help="The Python that serves a runtime, as python3.12=/usr/bin/python3.12.",
)
@click.option(
    "--endpoint",
    "endpoints",
    multiple=True,
    metavar="SERVICE=URL",
    help="A real endpoint for a service, as s3=http://127.0.0.1:9000; AWS's own included.",
)
@click.option("--account-concurrency", type=options.Whole(1), help="Invocations at one time.  [default: 1000]")
@click.option(
    "--max-environments", type=options.Whole(1), help="Environments at one time.  [default: what memory gives]"
)
@click.option(
    "--idle-environment-s",
    metavar="SECONDS",
    type=click.FloatRange(0, min_open=True),
    help="How long an idle environment is kept.  [default: 600]",
)
@click.option(
    "--prewarm",
    metavar="auto|N|off",
    help="Sandboxes that wait prepared: by demand, N for each runtime in use, none.  [default: auto]",
)
@click.option(
    "--fork-latest/--no-fork-latest",
    default=None,
    help="Fork environments of $LATEST from an initialised one, unlike AWS.  [default: no]",
)
@click.option(
    "--log-retention-days", type=options.Whole(0), help="Of log groups without a policy; 0 keeps all.  [default: 30]"
)
@click.option(
    "--moto-memory-mb", type=options.Whole(384), help="Memory of the services that are not ours.  [default: 1024]"
)
@click.option(
    "--log-disk-mb", type=options.Whole(1), help="What all logs may take; the oldest go first.  [default: 1024]"
)
@click.option(
    "--log-level", type=click.Choice(LOG_LEVELS), help="What the server says of itself on stderr.  [default: warning]"
)
@click.option(
    "--deprecated-runtime",
    "deprecated_runtimes",
    multiple=True,
    metavar="RUNTIME=DAY",
    help="Refuse functions of a runtime from a day on, as python3.9=2026-06-01.  [default: none]",
)
@click.option(
    "--signing-profile",
    "signing_profiles",
    multiple=True,
    metavar="ARN=FILE",
    help="The public key of a signing profile version; see docs/code-signing.md.",
)
@click.option("--prices", metavar="FILE", help="TOML with prices that differ from AWS's; see docs/billing.md.")
@click.option(
    "--until-stdin-ends", is_flag=True, help="Stop also at the end of standard input: with the program that holds it."
)
@options.quota
@options.config
def up(config: Path | None, until_stdin_ends: bool, **flags: Any) -> None:
    """Start the server in the foreground. SIGTERM or Ctrl-C drains and stops it; a second one kills it."""
    held = _held() if until_stdin_ends else None
    flags["prewarm"] = _prewarm(flags["prewarm"])
    flags["allowed_hosts"] = flags["allowed_hosts"] or None
    flags["database"] = _database(flags["database"])
    flags["vpc_services"] = _vpc_services(flags["vpc_services"])
    if (users := flags["function_users"]) is not None:
        flags["function_users"] = _user_range(users)
    flags["egress_allow"] = _networks(flags["egress_allow"])
    flags["interpreters"] = tuple(map(_interpreter, flags["interpreters"])) or None
    flags["deprecated_runtimes"] = options.deprecations(flags["deprecated_runtimes"])
    flags["endpoints"] = tuple(map(_endpoint, flags["endpoints"])) or None
    settings = options.settings(flags, config)
    if settings.egress == "none" and settings.egress_allow:
        raise Failure("--egress none closes all networks: --egress-allow would be without effect", USAGE)
    log.configure(settings.log_level)
    with one_line_failures(settings):
        _check_address(settings)
        who = privileges.identity(settings.user)
        _check_rootless(settings, who)
        _check_readable(who)
        privileges.make_folder(settings.data_dir, who)
        catalog = catalog_of(settings)
        entries = runtime_files()
        with _as(who):
            data_dir = DataDir.open(settings.data_dir)
            # With the eyes of the server: it looks at them again, and root may see what it will not.
            runtimes = catalog.available()
            _check_interpreters(settings, catalog)
        launcher, problem = _start_launcher(settings, data_dir, runtimes, entries)
        privileges.drop(who, settings.data_dir)
        _serve(settings, data_dir, catalog, entries, launcher, problem, held)


def _database(given: str | None) -> str | None:
    try:
        return None if given is None else database(given, "--database")
    except SettingsError as error:
        raise Failure(str(error), USAGE) from None


def _networks(given: tuple[str, ...]) -> tuple[str, ...] | None:
    try:
        return networks(given, "--egress-allow") or None
    except SettingsError as error:
        raise Failure(str(error), USAGE) from None


def _vpc_services(given: tuple[str, ...]) -> tuple[tuple[str, str], ...] | None:
    try:
        return vpc_services(",".join(given), "--vpc-service") if given else None
    except SettingsError as error:
        raise Failure(str(error), USAGE) from None


def _held() -> int:
    """Standard input, where somebody can hold its other end."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        mode = 0
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or (mode and os.isatty(0))):
        raise Failure("--until-stdin-ends: standard input is no pipe that another program could hold", USAGE)
    return 0


def _check_address(settings: Settings) -> None:
    """Refuse before anything is made. The server binds much later, and says the same when it is beaten to it."""
    check_bind(settings.host)
    if (problem := why_not_listen(settings.host, settings.port)) is not None:
        raise problem


def _check_rootless(settings: Settings, who: Identity | None) -> None:
    if settings.sandbox == "rootless" and who is not None and who.uid != 0:
        raise Failure(f"--sandbox rootless needs no root: start as {who.name}, without sudo", USAGE)


def _check_readable(who: Identity | None) -> None:
    """Whoever the server becomes must be able to go on importing it: not so under a private home of another's."""
    if who is None:
        return
    with _as(who):
        for file in (os.__file__, lambent.__file__, click.__file__):
            try:
                os.stat(file)
            except PermissionError:
                text = f"user {who.name} cannot read {file}; install Python and Lambent where they can"
                raise PrivilegesError(f"{text}, or start with --user root") from None


def _check_interpreters(settings: Settings, catalog: Catalog) -> None:
    """One that was named and cannot serve would else be missed by the first function that needs it."""
    for identifier, _ in settings.interpreters:
        try:
            catalog.find(identifier)
        except RuntimeUnavailable as error:
            raise Failure(str(error), USAGE) from None


@contextmanager
def _as(who: Identity | None) -> Iterator[None]:
    """With the rights of the user the server becomes, for a while: files made belong to them."""
    if who is None or who.uid == os.geteuid():
        yield
        return
    os.setegid(who.gid)
    os.seteuid(who.uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def _start_launcher(
    settings: Settings, data_dir: DataDir, runtimes: Sequence[PythonRuntime], entries: Mapping[str, Path]
) -> tuple[LauncherClient | None, str | None]:
    """The launcher, or why there is none. Raises LauncherError where its sandbox was asked for by name."""
    if settings.sandbox == "process" and os.geteuid() != 0:
        return None, None
    try:
        launcher = starting.begin(
            data_dir=data_dir.root,
            packages_dir=data_dir.packages,
            prefixes=[*(runtime.prefix for runtime in runtimes), LANG],
            runtimes=[runtime.start for runtime in runtimes],
            runtime_entries=entries,
            wanted=settings.sandbox,
            egress=Egress(settings.egress, settings.egress_allow),
            oci_runtime=settings.oci_runtime,
            function_users=settings.function_users,
            criu=None if settings.criu == "none" else settings.criu,
        )
    except LauncherError as error:
        if settings.sandbox in ("native", "rootless", "oci"):
            raise
        return None, str(error)
    return launcher, None


def _ready(
    settings: Settings, launcher: LauncherClient | None, problem: str | None
) -> tuple[LauncherClient | None, str | None]:
    """The launcher once it is ready, or why there is none. It got ready while this process imported what it needs."""
    if launcher is None:
        return None, problem
    try:
        return launcher.await_ready(), None
    except LauncherError as error:
        if settings.sandbox in ("native", "rootless", "oci"):
            raise
        return None, str(error)


def _check_egress(settings: Settings, launcher: LauncherClient | None) -> None:
    """What was asked for by name is had, or the server does not start."""
    if settings.egress == "auto":
        return
    if launcher is None:
        raise LauncherError(f"--egress {settings.egress} needs the native or the rootless sandbox")
    if settings.egress != "none" and launcher.egress_missing is not None:
        raise LauncherError(f"--egress {settings.egress} cannot be had here: {launcher.egress_missing}")


def _serve(
    settings: Settings,
    data_dir: DataDir,
    catalog: Catalog,
    entries: Mapping[str, Path],
    launcher: LauncherClient | None,
    problem: str | None,
    held: int | None,
) -> None:
    # Here and not above: these must never be imported with privileges, and cost most of the time of a start. What
    # they make stays, so the collector would look through it for nothing; the server turns it on when it is ready.
    gc.disable()
    from lambent import start
    from lambent.environments.sandbox.probe import SandboxUnavailable
    from lambent.host import Host

    launcher, problem = _ready(settings, launcher, problem)
    _check_egress(settings, launcher)
    host = Host(
        data_dir=data_dir, catalog=catalog, runtime_entries=entries, launcher=launcher, problem=problem, held=held
    )
    try:
        start.run(
            settings, host, lambda url, sandbox, no_internet: say_ready(url, sandbox, no_internet, settings, data_dir)
        )
    except SandboxUnavailable as error:
        raise Failure(str(error), CANNOT_START) from error


def _prewarm(text: str | None) -> str | None:
    try:
        return None if text is None else prewarm(text, "--prewarm")
    except SettingsError as error:
        raise Failure(str(error), USAGE) from error


def _interpreter(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise Failure(f"--interpreter takes RUNTIME=PATH, as python3.12=/usr/bin/python3.12, not {text!r}", USAGE)
    return name, Path(path).expanduser()


def _user_range(text: str) -> tuple[int, int]:
    try:
        return user_range(text, "--function-users")
    except SettingsError as error:
        raise Failure(str(error), USAGE) from None


def _endpoint(text: str) -> tuple[str, str]:
    name, _, url = text.partition("=")
    if not (name and is_endpoint(url)):
        raise Failure(f"--endpoint takes SERVICE=URL, as s3=http://127.0.0.1:9000, not {text!r}", USAGE)
    return name, url
