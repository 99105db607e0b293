"""Settings: flags > `LAMBENT_*` variables > `lambent.toml`. Configuration is read nowhere else.

A key that no setting has is refused, not ignored: a misspelt limit that silently does nothing is worse than a stop.
"""

import difflib
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from pathlib import Path
from typing import Any

from lambent.core import setting_values as values
from lambent.core.setting_values import Given, SettingsError

CONFIG_FILE = Path("lambent.toml")
PREFIX = "LAMBENT_"
OTHER_VARIABLES = frozenset({"LAMBENT_CONFIG", "LAMBENT_ENDPOINT"})
"""Variables that are no settings of the server: where its file is, and which server the client commands call."""
TEST_PREFIX = "LAMBENT_TEST_"
"""Variables of the test suite; a server that it starts inherits them."""

SANDBOXES = ("auto", "native", "rootless", "oci", "process")
EGRESS = ("auto", "none", "pasta", "host-nat")
RUNTIME_FALLBACKS = ("none", "nearest")
LOG_LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    host: str = "127.0.0.1"
    port: int = 4566
    """0 takes a free port; the ready line names it."""
    data_dir: Path = Path(".lambent")
    database: str | None = field(default=None, repr=False)
    """URL of a PostgreSQL database, which may hold a password; None: SQLite in the data dir."""
    sandbox: str = "auto"
    """auto | native | rootless | oci | process"""
    egress: str = "auto"
    """auto | none | pasta | host-nat: how functions outside a VPC reach the internet. auto: by pasta, where it is."""
    egress_allow: tuple[str, ...] = ()
    """Networks and addresses that functions reach although they are private, or this host's own: `10.1.0.0/16`."""
    oci_runtime: str | None = None
    """A name or a path. None: the first of runc, crun, runsc and kata-runtime that is installed."""
    criu: str = "none"
    """none | auto | a path of CRIU, which restores versions with SnapStart that cannot be cloned."""
    vpc_services: tuple[tuple[str, str], ...] = ()
    """Services of this host or its network that VPCs have: (address and port there, where it is)."""
    user: str | None = None
    """Name or number of the user the supervisor becomes when started by root."""
    allow_reset: bool = False
    virtual_clock: bool = False
    """The time of events (retries, ages) can be advanced, for development."""
    allowed_hosts: tuple[str, ...] = ()
    runtime_fallback: str = "none"
    """none | nearest: what to do when the interpreter of a runtime identifier is not on this machine."""
    interpreters: tuple[tuple[str, Path], ...] = field(default=())
    """Configured interpreters: (runtime identifier, path of the executable)."""
    deprecated_runtimes: tuple[tuple[str, date], ...] = field(default=())
    """(runtime identifier, first day on which functions are not created with it or updated on it)."""
    endpoints: tuple[tuple[str, str], ...] = ()
    """Redirected services: (botocore's name of the service, URL of a real endpoint)."""
    account_concurrency: int = 1000
    max_environments: int | None = None
    """None: what the machine's memory gives."""
    idle_environment_s: float = 600.0
    function_users: tuple[int, int] | None = None
    """The first number and the count of users that functions of a plain container are; None: the upper half of all."""
    prewarm: str = "auto"
    """Sandboxes that wait prepared: auto | a number for each runtime in use, 0 for none | off: no zygotes either."""
    fork_latest: bool = False
    """Environments of `$LATEST` are forked from one that was initialised, which AWS never does."""
    log_retention_days: int = 30
    """Of log groups without a policy of their own; 0 keeps them for ever."""
    log_disk_mb: int = 1024
    """What all logs of functions may take on disk; beyond it the oldest go first."""
    moto_memory_mb: int = 1024
    """What the process of the services that are not ours may hold; beyond it, it ends and starts anew, empty."""
    log_level: str = "warning"
    signing_profiles: tuple[tuple[str, bytes], ...] = field(default=(), repr=False)
    """Public keys of signing profiles: (ARN of the profile version, the PEM in the file that was named). Read here,
    while the process may read it; `functions.signing.profiles` knows what is in it."""
    prices: tuple[str, str] | None = None
    """(path, text) of a table of prices that is laid over AWS's. Read here for the same reason; `billing.prices` knows
    its form."""
    quotas: Mapping[str, Given] = field(default_factory=dict)
    """Limits by name; `functions.quotas` knows them. Each name comes from the highest source that gives it."""


KEYS = tuple(f.name for f in fields(Settings))


def load(
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    config: Path | None = None,
) -> Settings:
    """The settings in force. `flags` holds only what was given on the command line, by key, already typed.

    `config` names a file that must exist; without it `LAMBENT_CONFIG` does, and without both `lambent.toml` in the
    current folder is read if it is there. Raises `SettingsError`.
    """
    environ = os.environ if environ is None else environ
    given = {key: value for key, value in (flags or {}).items() if value is not None}
    sources = (_from_file(config, environ), _from_variables(environ), given)
    found = {key: value for source in sources for key, value in source.items()}
    quotas = {name: number for source in sources for name, number in source.get("quotas", {}).items()}
    return Settings(**found | {"quotas": quotas})


def _from_file(config: Path | None, environ: Mapping[str, str]) -> dict[str, Any]:
    named = config or (Path(environ["LAMBENT_CONFIG"]) if environ.get("LAMBENT_CONFIG") else None)
    path = named or CONFIG_FILE
    if named is None and not path.is_file():
        return {}
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not TOML: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from None
    found: dict[str, Any] = {}
    for name, value in table.items():
        key = name.replace("-", "_")
        if key not in KEYS:
            raise SettingsError(f"{path}: unknown key '{name}'{_perhaps(key, str)}")
        found[key] = _convert(key, value, f"{path}: key '{name}'")
    return found


def _from_variables(environ: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in environ.items():
        if not name.startswith(PREFIX) or name.startswith(TEST_PREFIX) or name in OTHER_VARIABLES or value == "":
            continue
        key = name.removeprefix(PREFIX).lower()
        if key not in KEYS:
            raise SettingsError(f"unknown variable {name}{_perhaps(key, _variable)}")
        found[key] = _convert(key, value, f"variable {name}")
    return found


def _variable(key: str) -> str:
    return PREFIX + key.upper()


def _perhaps(key: str, written: Callable[[str], str]) -> str:
    """What was meant, as the end of a sentence; all that is known where nothing is near."""
    near = difflib.get_close_matches(key, KEYS, 1, cutoff=0.7)
    return f"; did you mean {written(near[0])}?" if near else f" (known: {', '.join(map(written, KEYS))})"


def _convert(key: str, value: object, place: str) -> Any:
    """`value` as TOML or a variable gave it, in the type of setting `key`."""
    match key:
        case "port":
            return values.integer(value, place, 0, 65_535)
        case "account_concurrency" | "max_environments":
            return values.integer(value, place, 1, None)
        case "log_disk_mb":
            return values.integer(value, place, 1, None)
        case "moto_memory_mb":
            return values.integer(value, place, 384, None)
        case "log_retention_days":
            return values.integer(value, place, 0, None)
        case "idle_environment_s":
            return values.seconds(value, place)
        case "prewarm":
            return values.prewarm(value, place)
        case "function_users":
            return values.user_range(value, place)
        case "allow_reset" | "fork_latest" | "virtual_clock":
            return values.boolean(value, place)
        case "data_dir":
            return Path(values.text(value, place)).expanduser()
        case "database":
            return values.database(value, place)
        case "sandbox":
            return values.choice(value, place, SANDBOXES)
        case "egress":
            return values.choice(value, place, EGRESS)
        case "egress_allow":
            return values.networks(values.texts(value, place), place)
        case "vpc_services":
            return values.vpc_services(value, place)
        case "runtime_fallback":
            return values.choice(value, place, RUNTIME_FALLBACKS)
        case "log_level":
            return values.choice(value, place, LOG_LEVELS)
        case "allowed_hosts":
            return values.texts(value, place)
        case "endpoints":
            return values.endpoints(value, place)
        case "interpreters":
            return values.interpreters(value, place)
        case "deprecated_runtimes":
            return values.days(value, place)
        case "signing_profiles":
            return values.files(value, place)
        case "prices":
            return values.text_file(value, place)
        case "quotas":
            return values.numbers(value, place)
        case _:
            return values.text(value, place)
