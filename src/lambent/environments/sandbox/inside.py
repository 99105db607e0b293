"""Run as a program inside a sandbox: does it give what it promises? Prints one JSON object, then uses up its memory.

Guarantee -> null when it holds, else what was found. It runs there alone, so it imports nothing of ours.
"""

import ctypes
import errno
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

PR_GET_NO_NEW_PRIVS = 39


def refused(action: Callable[[], Any], *expected: int) -> str | None:
    """None when `action` fails with one of the expected errno, else what happened."""
    try:
        action()
    except OSError as error:
        if error.errno in expected:
            return None
        return f"failed with {errno.errorcode.get(error.errno or 0, error.errno)}"
    return "was possible"


def status(key: str) -> str:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(f"{key}:")), "")


def filesystem(canary: str) -> str | None:
    for path in ("/probe", "/usr/probe", f"{os.path.dirname(__file__)}/probe", "/etc/probe"):
        if found := refused(Path(path).touch, errno.EROFS, errno.EACCES):
            return f"writing {path} {found}"
    for path in (canary, "/etc/shadow", "/.lambent/packages"):
        if found := refused(Path(path).read_bytes, errno.ENOENT, errno.EACCES):
            return f"reading {path} {found}"
    return None


def processes() -> str | None:
    if refused(lambda: os.listdir("/proc"), errno.EACCES) is None:
        return "there is no /proc of its own"
    others = [name for name in os.listdir("/proc") if name.isdigit() and int(name) not in (1, os.getpid())]
    return f"other processes are seen: {', '.join(others[:5])}" if others else None


def network(port: int) -> str | None:
    if refused(lambda: socket.create_connection(("127.0.0.1", port), 1), errno.EACCES) is None:
        return "ports are refused one by one"
    for address in (("127.0.0.1", port), ("169.254.169.254", 80)):
        attempt = lambda address=address: socket.create_connection(address, 1)  # noqa: E731
        if found := refused(attempt, errno.ECONNREFUSED, errno.ENETUNREACH):
            return f"a connection to {address[0]}:{address[1]} {found}"
    return None


def user() -> str | None:
    # Without user namespaces it has the number that only this sandbox has, and not that of the server's files.
    if (os.getuid(), os.getgid()) != (993, 990) and os.getuid() in (0, os.stat(__file__).st_uid):
        return f"the user is {os.getuid()}:{os.getgid()}"
    for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        # A kernel without the last of them does not tell it; it is never more than the second.
        if (key != "CapAmb" or status(key)) and int(status(key), 16):
            return f"{key} is {status(key)}"
    held = status("NoNewPrivs") or str(ctypes.CDLL(None).prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0))
    return None if held == "1" else "no_new_privs is not set"


def syscalls() -> str | None:
    return None if status("Seccomp") == "2" else "no filter is in force"


def pids(limit: int) -> str | None:
    children = []
    try:
        for _ in range(limit + 1):
            pid = os.fork()
            if pid == 0:
                signal.pause()
                os._exit(0)
            children.append(pid)
    except BlockingIOError:
        return None
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return f"more than {limit} processes were possible"


def tmp(size_mb: int) -> str | None:
    there = os.statvfs("/tmp")
    if there.f_blocks * there.f_frsize > size_mb << 20:
        return f"its size is {there.f_blocks * there.f_frsize >> 20} MB"
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    kinds = [kind for _, target, kind, *_ in mounts if target == "/tmp"]
    # gVisor shows the kind of its own link to the disk image.
    return None if kinds[-1:] in (["ext4"], ["9p"]) else f"it is {kinds}"


def daemon(runtime_api: str) -> None:
    """Leave a process that is nobody's child and holds a connection, by which its end is seen from outside."""
    connected, connects = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            host, port = runtime_api.split(":")
            held = socket.create_connection((host, int(port)), 5)
            held.sendall(b"here")
            os.write(connects, b"+")
            try:
                held.settimeout(None)
                held.recv(1)  # Where nothing ends it, the end of the connection does.
            except OSError:
                pass
        os._exit(0)
    os.wait()
    os.close(connects)
    os.read(connected, 1)


def main() -> None:
    canary, runtime_api = sys.argv[1:3]
    port, most_processes, tmp_mb, memory_mb = map(int, sys.argv[3:])
    found = {
        "filesystem": filesystem(canary),
        "processes": processes(),
        "network": network(port),
        "user": user(),
        "syscalls": syscalls(),
        "pids": pids(most_processes),
        "tmp": tmp(tmp_mb),
    }
    daemon(runtime_api)
    os.write(1, f"{json.dumps(found)}\n".encode())
    # Without a limit this must end before it is the host that runs out.
    [b"x" * (1 << 20) for _ in range(4 * memory_mb)]


if __name__ == "__main__":
    main()
