"""Values of settings: from what a file, a variable or a flag gave to the type that is wanted, or a refusal in words.

`place` says where the value was given, for the refusal: each of these raises `SettingsError`.
"""

from collections.abc import Mapping
from datetime import date
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

FEWEST_FUNCTION_USERS = 3
"""One sandbox: its user, who ends it, and the group of all."""
MOST_PREPARED = 1000


class SettingsError(ValueError):
    """A setting that cannot be used. The message is for the user and names the key and where it was read."""


class Given(NamedTuple):
    """A number that somebody else than this module knows the name of, and where it was given."""

    value: int
    place: str


def text(value: object, place: str) -> str:
    if not isinstance(value, str) or not value:
        raise SettingsError(f"{place} must be text, not {value!r}")
    return value


def database(value: object, place: str) -> str:
    """The URL as it is. Raises `SettingsError`, which does not repeat it: there may be a password in it."""
    if not isinstance(value, str) or not value.startswith(("postgresql://", "postgres://")):
        raise SettingsError(f"{place} must be the URL of a PostgreSQL database, as postgresql://USER@HOST/NAME")
    return value


def choice(value: object, place: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise SettingsError(f"{place} must be one of {', '.join(choices)}, not {value!r}")
    return str(value)


def integer(value: object, place: str, low: int, high: int | None) -> int:
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


def seconds(value: object, place: str) -> float:
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
    start, colon, count = text(value, place).partition(":")
    if colon and start.isdecimal() and count.isdecimal():
        first, size = int(start), int(count)
        if first > 0 and size >= FEWEST_FUNCTION_USERS and first + size < 1 << 32:
            return first, size
    raise SettingsError(f"{place} takes START:COUNT with {FEWEST_FUNCTION_USERS} or more, as 200000:65536")


def prewarm(value: object, place: str) -> str:
    """`auto`, `off`, or a number as text. Raises `SettingsError`."""
    word = str(value).lower()
    number = word.isascii() and word.isdigit() and int(word) <= MOST_PREPARED
    if isinstance(value, bool) or not (word in ("auto", "off") or number):
        raise SettingsError(f"{place} must be auto, off, or a whole number from 0 to {MOST_PREPARED}, not {value!r}")
    return word


def boolean(value: object, place: str) -> bool:
    if isinstance(value, bool):
        return value
    named = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    if not isinstance(value, str) or value.lower() not in named:
        raise SettingsError(f"{place} must be true or false, not {value!r}")
    return named[value.lower()]


def texts(value: object, place: str) -> tuple[str, ...]:
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
            ports = int(port), int(target.rpartition(":")[2])
        except ValueError:
            raise SettingsError(f"{place}: {published}={target} is not as 10.0.1.10:5432=127.0.0.1:5432") from None
        if not all(0 < each < 65_536 for each in ports) or not target.rpartition(":")[0]:
            raise SettingsError(f"{place}: {published}={target} is not as 10.0.1.10:5432=127.0.0.1:5432")
    return tuple((str(name), str(target)) for name, target in value.items())


def interpreters(value: object, place: str) -> tuple[tuple[str, Path], ...]:
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
    path = text(value, place)
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
        each = f"{place}, {name}"
        found[str(name).replace("-", "_")] = Given(integer(number, each, 0, None), each)
    return found


def endpoints(value: object, place: str) -> tuple[tuple[str, str], ...]:
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
