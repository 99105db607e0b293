import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ELF_HEAD = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00"
MACHINES = {"x86_64": 62, "arm64": 183}


def elf(architecture: str, contents: bytes = b"") -> bytes:
    return ELF_HEAD + MACHINES[architecture].to_bytes(2, "little") + contents


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Make what an installed interpreter looks like on disk; the executable is never started."""

    def make(prefix: Path, version: str, patch: int | None = None, contents: bytes = b"") -> Path:
        library = prefix / f"lib/python{version}"
        (library / "logging").mkdir(parents=True)
        (library / "os.py").touch()
        (library / "logging/__init__.py").touch()
        executable = prefix / f"bin/python{version}"
        executable.parent.mkdir(exist_ok=True)
        # The header of the interpreter that runs the tests is that of any machine they run on.
        executable.write_bytes(Path(sys.executable).resolve().read_bytes()[:20] + contents)
        if patch is not None:
            header = prefix / f"include/python{version}/patchlevel.h"
            header.parent.mkdir(parents=True)
            header.write_text(f"#define PY_MINOR_VERSION 0\n#define PY_MICRO_VERSION\t{patch}\n")
        return executable

    return make
