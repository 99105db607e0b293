"""Which processor the compiled files of a code package are for, so that a function runs where it can.

Only ELF files are looked at: Lambda is Linux, and wheels for other systems do not work there either.
"""

import os
from pathlib import Path

_MACHINES = {62: "x86_64", 183: "arm64", 3: "x86", 40: "arm"}
"""`e_machine` of the ELF header -> AWS's name of the architecture (where it has one)."""


def host_architecture(machine: str) -> str:
    """AWS's name for what `platform.machine()` says."""
    return {"amd64": "x86_64", "aarch64": "arm64"}.get(machine.lower(), machine.lower())


def foreign_file(folder: Path, architecture: str) -> tuple[str, str] | None:
    """(path below `folder`, what it is for) of the first compiled file that is not for `architecture`, by name."""
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(parent, name)
            built_for = _built_for(path)
            if built_for is not None and built_for != architecture:
                return os.path.relpath(path, folder), built_for
    return None


def _built_for(path: str) -> str | None:
    try:
        with open(path, "rb", buffering=0) as file:
            head = file.read(20)
    except OSError:
        return None
    if len(head) < 20 or not head.startswith(b"\x7fELF"):
        return None
    number = int.from_bytes(head[18:20], "little" if head[5] == 1 else "big")
    return _MACHINES.get(number, f"ELF machine {number}")
