"""What the supervisor may ask for. It is trusted no further than this: a request that names a folder, an interpreter
or a number outside what was agreed at start is refused.
"""

from typing import Any, NamedTuple

MEMORY_MB = (32, 32768)
TMP_MB = (1, 10240)
PROCESSES = (8, 1024)


class BadRequest(Exception):
    """The message says which part of the request was refused, and why."""


class Create(NamedTuple):
    code: str
    """Path below the packages folder."""
    opt: str | None
    """Path below the packages folder; None: /opt stays empty."""
    prefix: int
    """Number of the interpreter prefix in the list given at start."""
    memory_mb: int
    tmp_mb: int
    processes: int


def parse(message: dict[str, Any], prefixes: int) -> Create:
    """Raises BadRequest."""
    if message.get("do") != "create":
        raise BadRequest("only create is understood")
    return Create(
        code=_relative("code", message.get("code")),
        opt=None if message.get("opt") is None else _relative("opt", message["opt"]),
        prefix=_number(message, "prefix", (0, prefixes - 1)),
        memory_mb=_number(message, "memory_mb", MEMORY_MB),
        tmp_mb=_number(message, "tmp_mb", TMP_MB),
        processes=_number(message, "processes", PROCESSES),
    )


def _number(message: dict[str, Any], key: str, bounds: tuple[int, int]) -> int:
    value = message.get(key)
    if type(value) is not int or not bounds[0] <= value <= bounds[1]:
        raise BadRequest(f"{key} must be a whole number from {bounds[0]} to {bounds[1]}, not {value!r}")
    return value


def _relative(key: str, value: Any) -> str:
    """A path that stays below its folder by its letters; symbolic links are refused when it is opened."""
    if not isinstance(value, str) or not value or "\0" in value or value.startswith("/"):
        raise BadRequest(f"{key} must be a path below the packages folder, not {value!r}")
    if any(part in ("", ".", "..") for part in value.split("/")):
        raise BadRequest(f"{key} must be a plain path below the packages folder, not {value!r}")
    return value
