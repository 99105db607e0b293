"""Which files of a folder belong in its deployment package.

Owns the list of what never does, and `.lambentignore`. Refuses links that lead out of the folder: what they point to
would be somebody else's file in the package, or nothing.
"""

import os
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

IGNORE_FILE: Final = ".lambentignore"
NEVER: Final = (
    *(".git", ".hg", ".svn", ".venv", "venv", "__pycache__", "*.pyc", ".mypy_cache", ".pytest_cache", ".ruff_cache"),
    *(".tox", ".nox", ".idea", ".vscode", ".DS_Store", ".aws-sam", ".serverless", ".terraform"),
    *(".lambent", "lambent.toml", IGNORE_FILE),
    # What editors leave beside a file while it is being written.
    *("*~", ".*.sw?", ".#*", "4913"),
)
"""`node_modules` is not here: it is part of a function."""


class PackagingError(Exception):
    """A folder that cannot be packaged. One sentence for its owner."""


class Rules:
    """What to leave out. A line of `.lambentignore` is a name (`*.md`, `tests`), or a path from the folder
    (`docs/*.png`, `/README.md`); `*` and `?` as in a shell, `#` begins a comment."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._names = [pattern for pattern in patterns if "/" not in pattern.rstrip("/")]
        self._paths = [pattern.strip("/") for pattern in patterns if "/" in pattern.rstrip("/")]
        self._names = [pattern.rstrip("/") for pattern in self._names]

    @classmethod
    def of(cls, folder: Path) -> "Rules":
        try:
            lines = (folder / IGNORE_FILE).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            lines = []
        except (OSError, UnicodeDecodeError) as error:
            raise PackagingError(f"cannot read {folder / IGNORE_FILE}: {error}") from error
        own = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
        return cls((*NEVER, *own))

    def leave_out(self, path: str) -> bool:
        """`path` from the folder, with `/`. What is in a folder that is left out is not asked for."""
        name = path.rpartition("/")[2]
        return any(fnmatchcase(name, pattern) for pattern in self._names) or any(
            fnmatchcase(path, pattern) for pattern in self._paths
        )


def files(folder: Path) -> list[str]:
    """Files and links of the package, as sorted paths from `folder`. Raises `PackagingError`."""
    if not folder.is_dir():
        raise PackagingError(f"{folder} is no folder")
    root = folder.resolve()
    return sorted(path for path, _ in _walk(root, "", Rules.of(folder)))


def folders(folder: Path) -> list[str]:
    """The folder itself, "", and those of its folders whose files belong in the package."""
    root = folder.resolve()
    found = {path.rpartition("/")[0] for path, is_folder in _walk(root, "", Rules.of(folder), every=True) if is_folder}
    return sorted({"", *found})


def _walk(root: Path, below: str, rules: Rules, *, every: bool = False) -> Iterator[tuple[str, bool]]:
    """(path, whether it marks a folder); folders are told only with `every`, with a `/` at the end."""
    try:
        entries = list(os.scandir(root / below))
    except FileNotFoundError:
        # Gone since its name was read.
        return
    except OSError as error:
        raise PackagingError(f"cannot read {error.filename}: {error.strerror}") from error
    for entry in entries:
        path = f"{below}/{entry.name}" if below else entry.name
        if rules.leave_out(path):
            continue
        if entry.is_symlink():
            _check_link(root, path)
            yield path, False
        elif entry.is_dir():
            if every:
                yield f"{path}/", True
            yield from _walk(root, path, rules, every=every)
        elif entry.is_file():
            yield path, False


def _check_link(root: Path, path: str) -> None:
    try:
        target, absolute = (root / path).resolve(), os.path.isabs(os.readlink(root / path))
    except FileNotFoundError:
        # Gone since its name was read.
        return
    except (RuntimeError, OSError) as error:
        # A circle is the one or the other, by the version of Python.
        raise PackagingError(f"the link {path} leads nowhere; remove it, or name it in {IGNORE_FILE}") from error
    if not target.is_relative_to(root):
        raise PackagingError(
            f"the link {path} leads out of the folder; copy what it means, or name it in {IGNORE_FILE}"
        )
    if absolute:
        raise PackagingError(f"the link {path} is absolute, and the package will be elsewhere; make it relative")
