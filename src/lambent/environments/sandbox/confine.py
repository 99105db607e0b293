"""Run as a program: confine this process, then become the runtime. Used by the process driver alone.

A program of its own and not a hook between fork and exec, because the supervisor has threads. Reads one JSON object
from stdin: argv, variables, cwd, parent, max_open_files, readable, writable, filter (of system calls, as base64).
"""

import base64
import json
import os
import resource
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from lambent.launcher.contained import view
from lambent.launcher.kernel import landlock, seccomp, syscalls

_PR_SET_PDEATHSIG = 1


def main() -> None:
    wish = json.load(sys.stdin)
    if sys.platform.startswith("linux"):
        die_with(wish["parent"])
    soft_limit(resource.RLIMIT_CORE, 0)
    soft_limit(resource.RLIMIT_NOFILE, wish["max_open_files"])
    landlock.restrict(
        handled=landlock.READ | landlock.WRITE,
        rules=[(path, landlock.READ) for path in (*view.readable(), *wish["readable"])]
        + [(path, landlock.READ | landlock.WRITE) for path in (*view.writable(), *wish["writable"])],
        scope=landlock.SCOPE_ABSTRACT_UNIX | landlock.SCOPE_SIGNAL,
    )
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.chdir(wish["cwd"])
    if wish["filter"] is not None:
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
        seccomp.load(base64.b64decode(wish["filter"]))
    os.execve(wish["argv"][0], wish["argv"], wish["variables"])


def die_with(parent: int) -> None:
    """End with the supervisor, also when it was gone before this line."""
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def soft_limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    ceiling = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (ceiling, ceiling))


if __name__ == "__main__":
    main()
