"""`python run.py [--scratch] FILE`: each line of FILE is NAME ARGUMENTS, a function of one of these modules.

Prints, line by line, `ok`, the name of the errno, `masked`, or what killed the child. With --scratch, in mount, host
name and IPC namespaces of its own: outside a sandbox, where the attempts succeed, that keeps them from the host.
"""

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from attempts import files, kernel, namespaces, privileges, processes, raw, sockets  # type: ignore[import-not-found]

_NEW_MOUNTS, _NEW_NAME, _NEW_IPC = 0x20000, 0x4000000, 0x8000000
_MS_REC_PRIVATE = 0x4000 | 0x40000

ATTEMPTS: dict[str, Callable[..., object]] = {
    name: found
    for module in (files, kernel, namespaces, privileges, processes, sockets)
    for name, found in vars(module).items()
    if callable(found) and getattr(found, "__module__", "") == module.__name__ and not name.startswith("_")
}


def within(kind: str, pid: str, name: str, *arguments: str) -> None:
    """Only outside: an attempt in a namespace of another process, where what it looks for is."""
    namespace = os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY)

    def enter_and_try() -> None:
        raw.call("setns", namespace, 0)
        ATTEMPTS[name](*arguments)

    raw.in_child(enter_and_try)


ATTEMPTS["within"] = within


def attempt(name: str, *arguments: str) -> str:
    try:
        ATTEMPTS[name](*arguments)
    except raw.Masked:
        return "masked"
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return "ok"


def main(file: str) -> None:
    for line in Path(file).read_text().splitlines():
        print(line, "=>", attempt(*line.split()), flush=True)
    print("end of attempts", flush=True)


def scratch() -> None:
    raw.call("unshare", _NEW_MOUNTS | _NEW_NAME | _NEW_IPC)
    raw.call("mount", b"none", b"/", 0, _MS_REC_PRIVATE, 0)


if __name__ == "__main__":
    if "--scratch" in sys.argv:
        scratch()
    main(sys.argv[-1])
