"""The installed requirements of a Python function, as a package: wheels for the function's Python, by pip.

Kept below `~/.cache/lambent`, named by a digest of what was asked for, so that the same is not installed twice.
Requirements that name a folder or a file of this machine are installed each time: what they mean changes silently.
"""

import contextlib
import hashlib
import io
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Final

from lambent.packaging.archive import join, members, of_files
from lambent.packaging.folder import PackagingError

FILE: Final = "requirements.txt"
KEPT_S: Final = 60 * 24 * 3600
"""How long an installation stays that nobody asks for."""
_OTHER_FILE = re.compile(r"^(?:-r|-c|--requirement|--constraint)[ =]*(\S+)")
_LOCAL = re.compile(r"^(?:-e\b|--editable|-f\b|--find-links|[./~]|file:)|@ *(?:file:|[./])")


def cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "lambent" / "requirements"


def installed(requirements: Path, python: str, cache: Path | None = None) -> bytes:
    """The package of what `requirements` asks for, for Python `python` ("3.12"). Raises `PackagingError`."""
    name = digest(requirements, python)
    if name is None:
        return _install(requirements, python)
    kept = (cache or cache_folder()) / f"{name}.zip"
    try:
        package = kept.read_bytes()
        os.utime(kept)
    except OSError:
        package = _install(requirements, python)
        _keep(kept, package)
    return package


def is_kept(requirements: Path, python: str, cache: Path | None = None) -> bool:
    name = digest(requirements, python)
    return name is not None and ((cache or cache_folder()) / f"{name}.zip").is_file()


def as_layer(package: bytes, python: str) -> bytes:
    """An installed package as the archive of a layer. Its folder comes before `python/` of other layers on the path,
    as the function's own folder does."""
    found = members(package)
    for member in found:
        member.item.filename = f"python/lib/python{python}/site-packages/{member.item.filename}"
    return join(found)


def top_names(package: bytes) -> frozenset[str]:
    """What is directly in a package, without suffixes: modules and packages, and some names more."""
    with zipfile.ZipFile(io.BytesIO(package)) as files:
        return frozenset(top_name(path) for path in files.namelist())


def top_name(path: str) -> str:
    return path.partition("/")[0].partition(".")[0]


def digest(requirements: Path, python: str) -> str | None:
    """Of everything that decides what is installed; None where that cannot be told from the text."""
    state = hashlib.sha256(f"1 {python} {platform.system()} {platform.machine()}\0".encode())
    return state.hexdigest()[:32] if _read(requirements, state, set()) else None


def _read(file: Path, state: "hashlib._Hash", seen: set[Path]) -> bool:
    if file in seen:
        return True
    seen.add(file)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PackagingError(f"cannot read {file}: {error}") from error
    state.update(text.encode() + b"\0")
    for line in map(str.strip, text.splitlines()):
        if (other := _OTHER_FILE.match(line)) is not None:
            if "://" in other[1] or not _read(file.parent / other[1], state, seen):
                return False
        elif _LOCAL.search(line):
            return False
    return True


def _install(requirements: Path, python: str) -> bytes:
    """Wheels only, and those of the function's Python rather than ours: nothing is compiled, or run, at packaging."""
    with tempfile.TemporaryDirectory(prefix="lambent-requirements-") as target:
        command = [sys.executable, "-m", "pip", "install", "-qq", "--no-input", "--disable-pip-version-check"]
        command += ["--no-compile", "--only-binary=:all:", "--python-version", python, "--implementation", "cp"]
        command += ["--requirement", requirements.name, "--target", target]
        done = subprocess.run(
            command, cwd=requirements.parent, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
            why = said[-1].removeprefix("ERROR: ") if said else f"pip ended with {done.returncode}"
            raise PackagingError(f"cannot install {requirements.name} of the function: {why}")
        return of_files(Path(target), _files(Path(target)))


def _files(folder: Path) -> list[str]:
    found = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return sorted(path.relative_to(folder).as_posix() for path in found)


def _keep(file: Path, package: bytes) -> None:
    """A disk that is full, or a home that cannot be written, costs the time of the next installation and no more."""
    scratch = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_bytes(package)
        scratch.rename(file)
        for other in file.parent.glob("*.zip"):
            if time.time() - other.stat().st_mtime > KEPT_S:
                other.unlink()
    except OSError:
        with contextlib.suppress(OSError):
            scratch.unlink()
