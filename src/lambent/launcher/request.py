"""What the supervisor may ask for. It is trusted no further than this: a request that names a folder, an interpreter
or a number outside what was agreed at start is refused.

`prepare` is for the launcher. The others go to the first process of a sandbox, which is as trusted as the launcher.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeGuard

MEMORY_MB = (32, 32768)
TMP_MB = (1, 10240)
PROCESSES = (8, 1024)
OPEN_FILES = (16, 1 << 20)
PORTS = (1, 65535)
SIGNALS = (1, 31)
RUNTIME = "runtime"
EXTENSION = "extension/"
_NAME_CHARACTERS = 255
_SANDBOXES = (0, 1 << 32)
_MOST_EXTENSIONS = 64


class BadRequest(Exception):
    """The message says which part of the request was refused, and why."""


class Limits(NamedTuple):
    memory_mb: int
    tmp_mb: int
    processes: int


class Runtime(NamedTuple):
    """How an interpreter is started before it is known for whom; agreed at start, by the number in the list."""

    prefix: int
    argv: tuple[str, ...]
    variables: Mapping[str, str]


class Prepare(NamedTuple):
    """A sandbox that holds nothing of any account."""

    limits: Limits
    runtime: int | None
    """Number of the runtime in the list given at start, whose interpreter waits inside; None: no interpreter yet."""
    zygote: int | None
    """The one that forks it; None: it is exec'd."""
    internet: bool = False
    """It is connected with the internet while it is made."""
    to_save: bool = False
    """For a runtime that CRIU saves or restores, which knows no user namespace."""
    like: int | None = None
    """The sandbox whose saved runtime it gets, and whose user it therefore has."""


class Restore(NamedTuple):
    """A sandbox around a clone of a template."""

    template: int
    """The number of its sandbox."""
    limits: Limits


class Saving(NamedTuple):
    """Save the runtime of a sandbox by CRIU, or restore what was saved in another one that is assigned."""

    sandbox: int
    like: int
    """Whose saved runtime; its own to save."""
    memory_mb: int


class Assign(NamedTuple):
    """What makes it one environment's."""

    code: str
    """Path below the packages folder."""
    opt: str | None
    """Path below the packages folder; None: /opt stays empty."""
    prefix: int
    """Number of the interpreter prefix in the list given at start."""
    limits: Limits


class Start(NamedTuple):
    name: str
    """`runtime`, or `extension/` and a name."""
    argv: tuple[str, ...]
    variables: Mapping[str, str]
    folder: str
    open_files: int
    must_exec: bool
    """Not the interpreter that may be waiting."""
    template: bool = False
    """It is kept to be cloned."""
    image: bool = False
    """It is kept to be saved by CRIU."""

    def __repr__(self) -> str:
        """Without the variables, which are secrets."""
        return f"Start({self.name!r}, {self.argv!r})"


def prepare(message: dict[str, Any], runtimes: int) -> Prepare:
    """Raises BadRequest, as all of these. Whether there is such a zygote, the launcher knows."""
    numbered = message.get("runtime") is not None
    forked = message.get("zygote") is not None
    return Prepare(
        _limits(message),
        runtime=_number(message, "runtime", (0, runtimes - 1)) if numbered else None,
        zygote=_number(message, "zygote", (1, 1 << 62)) if forked else None,
        internet=message.get("internet") is True,
        to_save=message.get("to_save", False) is True,
        like=None if message.get("like") is None else _number(message, "like", _SANDBOXES),
    )


def restore(message: dict[str, Any]) -> Restore:
    template = message.get("template")
    if type(template) is not int:
        raise BadRequest("template must be the number of a sandbox")
    return Restore(template, _limits(message))


def variables(message: dict[str, Any]) -> Mapping[str, str]:
    """Those of a start."""
    found = message.get("variables")
    if not isinstance(found, dict) or not all(_is_text(value) for value in found.values()):
        raise BadRequest("variables must be texts without zero characters")
    if not all(key and "=" not in key and "\0" not in key for key in found):
        raise BadRequest("a variable needs a name")
    return found


def saving(message: dict[str, Any]) -> Saving:
    return Saving(
        sandbox=_number(message, "sandbox", _SANDBOXES),
        like=_number(message, "like", _SANDBOXES),
        memory_mb=_number(message, "memory_mb", MEMORY_MB),
    )


def runtime_of_zygote(message: dict[str, Any], runtimes: int) -> int:
    return _number(message, "runtime", (0, runtimes - 1))


def assign(message: dict[str, Any], prefixes: int) -> Assign:
    return Assign(
        code=_relative("code", message.get("code")),
        opt=None if message.get("opt") is None else _relative("opt", message["opt"]),
        prefix=_number(message, "prefix", (0, prefixes - 1)),
        limits=_limits(message),
    )


def start(message: dict[str, Any], running: int) -> Start:
    """`running` counts the processes that the sandbox was told to start and that have not ended."""
    name, argv, folder = (message.get(key) for key in ("name", "argv", "folder"))
    if running > _MOST_EXTENSIONS:
        raise BadRequest(f"more than {_MOST_EXTENSIONS} extensions")
    if not isinstance(argv, list) or not argv or not all(_is_text(each) for each in argv):
        raise BadRequest("argv must be texts without zero characters")
    if not _is_text(folder) or not folder.startswith("/"):
        raise BadRequest("folder must be an absolute path")
    template = message.get("template", False) is True
    image = message.get("image", False) is True
    if (template or image) and name != RUNTIME:
        raise BadRequest("only the runtime can be a template")
    return Start(
        process_name(name),
        tuple(argv),
        variables(message),
        folder,
        _number(message, "open_files", OPEN_FILES),
        template or image or message.get("must_exec") is not False,
        template,
        image and not template,
    )


def process_name(name: Any) -> str:
    if name == RUNTIME or (
        _is_text(name) and name.startswith(EXTENSION) and len(EXTENSION) < len(name) < _NAME_CHARACTERS
    ):
        return str(name)
    raise BadRequest(f"name must be {RUNTIME}, or {EXTENSION} and a name")


def signal_number(message: dict[str, Any]) -> int:
    return _number(message, "number", SIGNALS)


def pid(message: dict[str, Any]) -> int:
    return _number(message, "pid", (2, 1 << 22))


def port(message: dict[str, Any]) -> int:
    return _number(message, "port", PORTS)


def _limits(message: dict[str, Any]) -> Limits:
    return Limits(
        memory_mb=_number(message, "memory_mb", MEMORY_MB),
        tmp_mb=_number(message, "tmp_mb", TMP_MB),
        processes=_number(message, "processes", PROCESSES),
    )


def _number(message: dict[str, Any], key: str, bounds: tuple[int, int]) -> int:
    value = message.get(key)
    if type(value) is not int or not bounds[0] <= value <= bounds[1]:
        raise BadRequest(f"{key} must be a whole number from {bounds[0]} to {bounds[1]}, not {value!r}")
    return value


def _is_text(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and "\0" not in value


def _relative(key: str, value: Any) -> str:
    """A path that stays below its folder by its letters; symbolic links are refused when it is opened."""
    if not isinstance(value, str) or not value or "\0" in value or value.startswith("/"):
        raise BadRequest(f"{key} must be a path below the packages folder, not {value!r}")
    if any(part in ("", ".", "..") for part in value.split("/")):
        raise BadRequest(f"{key} must be a plain path below the packages folder, not {value!r}")
    return value
