"""Run a command as an ordinary user: `python ordinary_user.py [OPTIONS] -- COMMAND...`, as root.

The user exists here alone: it has a number that nobody has, an entry in /etc/passwd and, with --ids, a range in
/etc/subuid and /etc/subgid, all in a mount namespace of its own. What it needs and could not reach (--show: an
interpreter or a checkout below a private home) is mounted there again, below folders that can be entered. It starts in
each --cgroup, a folder of some hierarchy.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from lambent.launcher.kernel import syscalls

UID = 41_500
NAME = "lambent-ordinary"
RANGE = "200000:65536"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--ids", action="store_true")
    parser.add_argument("--show", action="append", default=[])
    parser.add_argument("--cgroup", action="append", default=[])
    parser.add_argument("command", nargs="+")
    wanted = parser.parse_args()
    for folder in wanted.cgroup:
        join(folder)
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    account(ids=wanted.ids)
    show(wanted.show)
    become()
    os.execvp(wanted.command[0], wanted.command)


def join(folder: str) -> None:
    with open(f"{folder}/cgroup.procs", "w") as file:
        file.write(str(os.getpid()))


def account(*, ids: bool) -> None:
    """The texts are put in place of the machine's, in this namespace only."""
    users = Path("/etc/passwd").read_text() + f"{NAME}:x:{UID}:{UID}::/tmp:/bin/sh\n"
    ranges = f"{NAME}:{RANGE}\n" if ids else ""
    for path, text in (("/etc/passwd", users), ("/etc/subuid", ranges), ("/etc/subgid", ranges)):
        if Path(path).exists():
            with tempfile.NamedTemporaryFile("w", delete=False) as file:
                file.write(text)
            os.chmod(file.name, 0o644)
            syscalls.mount(file.name, path, None, syscalls.MS_BIND)
            os.unlink(file.name)


def show(paths: Sequence[str]) -> None:
    """Let all users reach `paths`: private folders on the way are covered by empty ones that can be entered."""
    held = [(os.path.realpath(path), syscalls.open_tree(os.path.realpath(path), recursive=True)) for path in paths]
    covered: set[str] = set()
    for path, _ in held:
        for folder in (*reversed(Path(path).parents),):
            if str(folder) not in covered and folder.is_dir() and not os.stat(folder).st_mode & 0o001:
                syscalls.mount("covered", str(folder), "tmpfs", 0, "mode=0755,size=1m")
                covered.add(str(folder))
    for path, tree in held:
        if any(path.startswith(f"{folder}/") for folder in covered):
            os.makedirs(path, exist_ok=True)
            syscalls.move_mount(tree, path)
        os.close(tree)


def become() -> None:
    os.setgroups([])
    os.setresgid(UID, UID, UID)
    os.setresuid(UID, UID, UID)
    os.environ |= {"HOME": "/tmp", "USER": NAME, "LOGNAME": NAME}


if __name__ == "__main__":
    main()
