"""The Python interpreters of this machine: where they are looked for, and which one serves a version.

Nothing is executed: a candidate is a binary called `python3.X` under a prefix that holds the standard library of that
version; its patch level is read from its headers or from the binary. Scripts (pyenv's shims) are never candidates.
"""

import mmap
import pwd
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_BINARY_MAGIC = (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
"""ELF, Mach-O of 64 bits, Mach-O of several architectures."""


@dataclass(frozen=True, slots=True)
class Interpreter:
    version: str
    """For example `3.12`."""
    patch: int | None
    """The last number of 3.12.1; None when nothing on disk tells it."""
    prefix: Path
    """The folder that becomes `/var/lang`; holds `bin/python3.X` and `lib/python3.X`."""
    executable: Path
    """Below `prefix`, and not a symbolic link."""

    @property
    def relative_executable(self) -> str:
        return str(self.executable.relative_to(self.prefix))

    @property
    def full_version(self) -> str:
        return self.version if self.patch is None else f"{self.version}.{self.patch}"


@dataclass(frozen=True, slots=True)
class Places:
    """Folders with executables, and folders whose children are prefixes."""

    bins: Sequence[Path]
    prefixes: Sequence[Path]


def places(environ: Mapping[str, str]) -> Places:
    """Where interpreters are on this machine, for a process with these variables (PATH, HOME, SUDO_USER, ...)."""
    homes = [Path(home) for home in (environ.get("HOME"), _home_of(environ.get("SUDO_USER"))) if home]
    bins = [Path(folder) for folder in environ.get("PATH", "").split(":") if folder.startswith("/")]
    bins += [Path("/usr/local/bin"), Path("/usr/bin"), Path("/opt/homebrew/bin")]
    prefixes = [
        Path(environ[variable]) / child
        for variable, child in (("PYENV_ROOT", "versions"), ("UV_PYTHON_INSTALL_DIR", ""))
        if environ.get(variable, "").startswith("/")
    ]
    for home in homes:
        prefixes += [home / ".pyenv/versions", home / ".local/share/uv/python"]
        bins.append(home / ".local/bin")
    prefixes += [
        Path("/Library/Frameworks/Python.framework/Versions"),
        Path("/opt/homebrew/Frameworks/Python.framework/Versions"),
        Path("/usr/local/Frameworks/Python.framework/Versions"),
    ]
    return Places(tuple(dict.fromkeys(bins)), tuple(dict.fromkeys(prefixes)))


def _home_of(user: str | None) -> str | None:
    if not user:
        return None
    try:
        return pwd.getpwnam(user).pw_dir
    except KeyError:
        return None


def find_all(version: str, where: Places) -> list[Interpreter]:
    """Every interpreter of a version such as `3.12`, the best first: not a debug build, then the newest patch."""
    name = f"python{version}"
    found: dict[Path, Interpreter] = {}
    for candidate in _candidates(name, where):
        interpreter = inspect(candidate, version)
        if interpreter is not None:
            found.setdefault(interpreter.prefix, interpreter)
    return sorted(found.values(), key=lambda each: (_is_debug(each), -1 if each.patch is None else -each.patch))


def _candidates(name: str, where: Places) -> Iterator[Path]:
    for folder in where.bins:
        yield folder / name
    for parent in where.prefixes:
        for prefix in _children(parent):
            yield prefix / "bin" / name


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def closed_to_others(interpreter: Interpreter) -> Path | None:
    """The outermost folder or file that keeps other users from executing it; None when nothing does."""
    try:
        for path in (*reversed(interpreter.executable.parents), interpreter.executable):
            if not path.stat().st_mode & stat.S_IXOTH:
                return path
    except OSError:
        return interpreter.executable
    return None


def inspect(path: Path, version: str) -> Interpreter | None:
    """The interpreter at `path`, after links and virtual environments; None when there is none of that version."""
    path = _base_of_virtual_environment(path, version)
    try:
        executable = path.resolve(strict=True)
        with executable.open("rb") as file:
            head = file.read(20)
    except (OSError, RuntimeError):
        return None
    if not head.startswith(_BINARY_MAGIC) or not _of_this_machine(head):
        return None
    for prefix in executable.parents[1:3]:
        library = _library(prefix, version)
        if library is not None:
            return Interpreter(version, _patch(prefix, library, executable, version), prefix, executable)
    return None


def _base_of_virtual_environment(path: Path, version: str) -> Path:
    try:
        text = (path.parent.parent / "pyvenv.cfg").read_text()
    except (OSError, UnicodeDecodeError):
        return path
    home = re.search(r"^home *= *(.+?) *$", text, re.MULTILINE)
    return Path(home[1]) / f"python{version}" if home else path


def _library(prefix: Path, version: str) -> Path | None:
    """The folder of the standard library. Debian's `-minimal` packages have only a part of it."""
    for lib in ("lib", "lib64"):
        folder = prefix / lib / f"python{version}"
        if (folder / "os.py").is_file() and (folder / "logging/__init__.py").is_file():
            return folder
    return None


def _of_this_machine(head: bytes) -> bool:
    if not head.startswith(b"\x7fELF"):
        return True
    own = _elf_machine(Path("/proc/self/exe"))
    return own is None or head[18:20] == own


@lru_cache(maxsize=1)
def _elf_machine(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(20)[18:20]
    except OSError:
        return None


def _patch(prefix: Path, library: Path, executable: Path, version: str) -> int | None:
    try:
        header = (prefix / f"include/python{version}/patchlevel.h").read_text()
    except OSError:
        header = ""
    found = re.search(r"#define PY_MICRO_VERSION\s+(\d+)", header)
    if found:
        return int(found[1])
    named = re.fullmatch(rf"(?:cpython-)?{re.escape(version)}\.(\d+)(?:-.*)?", prefix.name)
    if named:
        return int(named[1])
    wanted = re.compile(rb"\x00" + re.escape(version).encode() + rb"\.(\d+)\+?\x00")
    for binary in (executable, *sorted(library.parent.glob(f"libpython{version}.*"))):
        found_bytes = _search(binary, wanted)
        if found_bytes is not None:
            return int(found_bytes)
    return None


def _search(binary: Path, wanted: re.Pattern[bytes]) -> bytes | None:
    try:
        with binary.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            found = wanted.search(data)
            return bytes(found[1]) if found else None
    except (OSError, ValueError):
        return None


def _is_debug(interpreter: Interpreter) -> bool:
    library = _library(interpreter.prefix, interpreter.version)
    return "debug" in interpreter.prefix.name or (library is not None and any(library.glob("_sysconfigdata_*d_*.py")))
