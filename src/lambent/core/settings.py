"""Settings: flags > `LAMBENT_*` variables > `lambent.toml`. Configuration is read nowhere else.

A key that no setting has is refused, not ignored: a misspelt limit that silently does nothing is worse than a stop.
"""

import difflib
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

CONFIG_FILE = Path("lambent.toml")
PREFIX = "LAMBENT_"
OTHER_VARIABLES = frozenset({"LAMBENT_CONFIG", "LAMBENT_ENDPOINT"})
"""Variables that are no settings of the server: where its file is, and which server the client commands call."""
TEST_PREFIX = "LAMBENT_TEST_"
"""Variables of the test suite; a server that it starts inherits them."""

FEWEST_FUNCTION_USERS = 3
"""One sandbox: its user, who ends it, and the group of all."""
SANDBOXES = ("auto", "native", "rootless", "oci", "process")
EGRESS = ("auto", "none", "pasta", "host-nat")
RUNTIME_FALLBACKS = ("none", "nearest")
MOST_PREPARED = 1000
LOG_LEVELS = ("debug", "info", "warning", "error")


class SettingsError(ValueError):
    """A setting that cannot be used. The message is for the user and names the key and where it was read."""


class Given(NamedTuple):
    """A number that somebody else than this module knows the name of, and where it was given."""

    value: int
    place: str


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
    values = {key: value for source in sources for key, value in source.items()}
    quotas = {name: number for source in sources for name, number in source.get("quotas", {}).items()}
    return Settings(**values | {"quotas": quotas})


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
    values: dict[str, Any] = {}
    for name, value in table.items():
        key = name.replace("-", "_")
        if key not in KEYS:
            raise SettingsError(f"{path}: unknown key '{name}'{_perhaps(key, str)}")
        values[key] = _convert(key, value, f"{path}: key '{name}'")
    return values


def _from_variables(environ: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in environ.items():
        if not name.startswith(PREFIX) or name.startswith(TEST_PREFIX) or name in OTHER_VARIABLES or value == "":
            continue
        key = name.removeprefix(PREFIX).lower()
        if key not in KEYS:
            raise SettingsError(f"unknown variable {name}{_perhaps(key, _variable)}")
        values[key] = _convert(key, value, f"variable {name}")
    return values


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
            return _integer(value, place, 0, 65_535)
        case "account_concurrency" | "max_environments":
            return _integer(value, place, 1, None)
        case "log_disk_mb":
            return _integer(value, place, 1, None)
        case "moto_memory_mb":
            return _integer(value, place, 384, None)
        case "log_retention_days":
            return _integer(value, place, 0, None)
        case "idle_environment_s":
            return _seconds(value, place)
        case "prewarm":
            return prewarm(value, place)
        case "function_users":
            return user_range(value, place)
        case "allow_reset" | "fork_latest" | "virtual_clock":
            return _boolean(value, place)
        case "data_dir":
            return Path(_text(value, place)).expanduser()
        case "database":
            return database(value, place)
        case "sandbox":
            return _choice(value, place, SANDBOXES)
        case "egress":
            return _choice(value, place, EGRESS)
        case "egress_allow":
            return networks(_texts(value, place), place)
        case "vpc_services":
            return vpc_services(value, place)
        case "runtime_fallback":
            return _choice(value, place, RUNTIME_FALLBACKS)
        case "log_level":
            return _choice(value, place, LOG_LEVELS)
        case "allowed_hosts":
            return _texts(value, place)
        case "endpoints":
            return _endpoints(value, place)
        case "interpreters":
            return _interpreters(value, place)
        case "deprecated_runtimes":
            return days(value, place)
        case "signing_profiles":
            return files(value, place)
        case "prices":
            return text_file(value, place)
        case "quotas":
            return numbers(value, place)
        case _:
            return _text(value, place)


def _text(value: object, place: str) -> str:
    if not isinstance(value, str) or not value:
        raise SettingsError(f"{place} must be text, not {value!r}")
    return value


def database(value: object, place: str) -> str:
    """The URL as it is. Raises `SettingsError`, which does not repeat it: there may be a password in it."""
    if not isinstance(value, str) or not value.startswith(("postgresql://", "postgres://")):
        raise SettingsError(f"{place} must be the URL of a PostgreSQL database, as postgresql://USER@HOST/NAME")
    return value


def _choice(value: object, place: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise SettingsError(f"{place} must be one of {', '.join(choices)}, not {value!r}")
    return str(value)


def _integer(value: object, place: str, low: int, high: int | None) -> int:
    range_text = f"from {low} to {high}" if high is not None else f"of {low} or more"
    problem = SettingsError(f"{place} must be a whole number {range_text}, not {value!r}")
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise problem
    try:
        number = int(value)
    except ValueError:
        raise problem from None
    if number < low or (high is not None and number > high):
        raise problem
    return number


def _seconds(value: object, place: str) -> float:
    problem = SettingsError(f"{place} must be a number of seconds greater than 0, not {value!r}")
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise problem
    try:
        number = float(value)
    except ValueError:
        raise problem from None
    if not 0 < number < float("inf"):
        raise problem
    return number


def user_range(value: object, place: str) -> tuple[int, int]:
    """START:COUNT, as 200000:65536."""
    start, colon, count = _text(value, place).partition(":")
    if colon and start.isdecimal() and count.isdecimal():
        first, size = int(start), int(count)
        if first > 0 and size >= FEWEST_FUNCTION_USERS and first + size < 1 << 32:
            return first, size
    raise SettingsError(f"{place} takes START:COUNT with {FEWEST_FUNCTION_USERS} or more, as 200000:65536")


def prewarm(value: object, place: str) -> str:
    """`auto`, `off`, or a number as text. Raises `SettingsError`."""
    text = str(value).lower()
    number = text.isascii() and text.isdigit() and int(text) <= MOST_PREPARED
    if isinstance(value, bool) or not (text in ("auto", "off") or number):
        raise SettingsError(f"{place} must be auto, off, or a whole number from 0 to {MOST_PREPARED}, not {value!r}")
    return text


def _boolean(value: object, place: str) -> bool:
    if isinstance(value, bool):
        return value
    named = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    if not isinstance(value, str) or value.lower() not in named:
        raise SettingsError(f"{place} must be true or false, not {value!r}")
    return named[value.lower()]


def _texts(value: object, place: str) -> tuple[str, ...]:
    parts = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(isinstance(part, str) and part for part in parts):
        raise SettingsError(f"{place} must be a list of texts, not {value!r}")
    return tuple(parts)


def networks(values: tuple[str, ...], place: str) -> tuple[str, ...]:
    """IPv4 networks and addresses in their one right spelling. Raises `SettingsError`."""
    try:
        return tuple(str(IPv4Network(each)) for each in values)
    except ValueError as error:
        raise SettingsError(f"{place} must be IPv4 networks such as 10.1.0.0/16: {error}") from None


def vpc_services(value: object, place: str) -> tuple[tuple[str, str], ...]:
    """A TOML table `"10.0.1.10:5432" = "127.0.0.1:5432"`, or `10.0.1.10:5432=127.0.0.1:5432,...` in a variable or flag.

    Raises `SettingsError`.
    """
    if isinstance(value, str):
        parts = value.split(",")
        if (wrong := next((part for part in parts if "=" not in part), None)) is not None:
            raise SettingsError(f"{place}: {wrong} is not as 10.0.1.10:5432=127.0.0.1:5432")
        value = {name.strip(): target.strip() for name, _, target in (part.partition("=") for part in parts)}
    if not isinstance(value, Mapping) or not all(isinstance(each, str) for each in value.values()):
        raise SettingsError(f"{place} must map addresses in a VPC to addresses here, not {value!r}")
    for published, target in value.items():
        host, _, port = str(published).rpartition(":")
        try:
            IPv4Address(host)
            numbers = int(port), int(target.rpartition(":")[2])
        except ValueError:
            raise SettingsError(f"{place}: {published}={target} is not as 10.0.1.10:5432=127.0.0.1:5432") from None
        if not all(0 < each < 65_536 for each in numbers) or not target.rpartition(":")[0]:
            raise SettingsError(f"{place}: {published}={target} is not as 10.0.1.10:5432=127.0.0.1:5432")
    return tuple((str(name), str(target)) for name, target in value.items())


def _interpreters(value: object, place: str) -> tuple[tuple[str, Path], ...]:
    """A TOML table `"python3.9" = "/path"`, or `python3.9=/path,python3.10=/path` in a variable."""
    pairs: list[tuple[object, object]]
    if isinstance(value, Mapping):
        pairs = list(value.items())
    elif isinstance(value, str):
        pairs = [(name, path) for name, _, path in (part.strip().partition("=") for part in value.split(","))]
    else:
        pairs = [(None, None)]
    if not all(isinstance(name, str) and name and isinstance(path, str) and path for name, path in pairs):
        raise SettingsError(f"{place} must map runtime identifiers to executables, not {value!r}")
    return tuple((str(name), Path(str(path)).expanduser()) for name, path in pairs)


def days(value: object, place: str) -> tuple[tuple[str, date], ...]:
    """A TOML table `"python3.8" = 2025-03-01`, or `python3.8=2025-03-01,go1.x=2024-01-08` in a variable or flag."""
    problem = SettingsError(f"{place} must map runtime identifiers to days such as 2025-03-01, not {value!r}")
    pairs: list[tuple[object, object]] = []
    if isinstance(value, Mapping):
        pairs = list(value.items())
    elif isinstance(value, str):
        pairs = [(name.strip(), day.strip()) for name, _, day in (part.partition("=") for part in value.split(","))]
    found = []
    for name, day in pairs:
        try:
            found.append((str(name), date.fromisoformat(str(day))))
        except ValueError:
            raise problem from None
    if not found or not all(name for name, _ in found):
        raise problem
    return tuple(found)


def files(value: object, place: str) -> tuple[tuple[str, bytes], ...]:
    """A TOML table `"arn:..." = "/path"`, or `arn:...=/path,arn:...=/path` in a variable or flag; what the files hold.

    Raises `SettingsError`.
    """
    if isinstance(value, str):
        value = {name.strip(): path.strip() for name, _, path in (part.partition("=") for part in value.split(","))}
    if not isinstance(value, Mapping) or not all(isinstance(path, str) and path for path in value.values()):
        raise SettingsError(f"{place} must map signing profile version ARNs to files, not {value!r}")
    found = []
    for arn, path in value.items():
        try:
            found.append((str(arn), Path(path).expanduser().read_bytes()))
        except OSError as error:
            raise SettingsError(f"{place}: {path} cannot be read: {error.strerror}") from None
    return tuple(found)


def text_file(value: object, place: str) -> tuple[str, str]:
    """The path of a text file, and what it holds. Raises `SettingsError`."""
    path = _text(value, place)
    try:
        return path, Path(path).expanduser().read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise SettingsError(f"{place}: {path} is no text") from None
    except OSError as error:
        raise SettingsError(f"{place}: {path} cannot be read: {error.strerror}") from None


def numbers(value: object, place: str) -> dict[str, Given]:
    """A TOML table `name = 7`, or `name=7,other=8` in a variable or flag. Raises `SettingsError`."""
    pairs: list[tuple[object, object]]
    if isinstance(value, Mapping):
        pairs = list(value.items())
    elif isinstance(value, str):
        pairs = [
            (name.strip(), number.strip()) for name, _, number in (part.partition("=") for part in value.split(","))
        ]
    else:
        pairs = []
    if not pairs or not all(isinstance(name, str) and name for name, _ in pairs):
        raise SettingsError(f"{place} must map names to whole numbers, not {value!r}")
    found = {}
    for name, number in pairs:
        text = f"{place}, {name}"
        found[str(name).replace("-", "_")] = Given(_integer(number, text, 0, None), text)
    return found


def _endpoints(value: object, place: str) -> tuple[tuple[str, str], ...]:
    """A TOML table `s3 = "http://127.0.0.1:9000"`, or `s3=http://127.0.0.1:9000,sqs=...` in a variable."""
    pairs: list[tuple[object, object]]
    if isinstance(value, Mapping):
        pairs = list(value.items())
    elif isinstance(value, str):
        pairs = [(name, url) for name, _, url in (part.strip().partition("=") for part in value.split(","))]
    else:
        pairs = [(None, None)]
    if not all(isinstance(name, str) and name and isinstance(url, str) and is_endpoint(url) for name, url in pairs):
        raise SettingsError(f"{place} must map services to URLs of endpoints, not {value!r}")
    return tuple((str(name), str(url)) for name, url in pairs)


def is_endpoint(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query and not parts.fragment
