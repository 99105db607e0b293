"""How the command gives up what it does not need, after the launcher was started and before anything else is imported.

Started through sudo it becomes the user who called, with `--user` that user, and as plain root it stays uid 0 without
any capability, unable to gain one, and with write access to the data dir alone. There is no way back.
"""

import grp
import os
import pwd
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from lambent.launcher.kernel import capabilities, landlock, syscalls

_WRITABLE_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")


class PrivilegesError(Exception):
    """The message is for the user."""


class Identity(NamedTuple):
    """Who the supervisor will be."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str
    name: str


def identity(user: str | None, environ: Mapping[str, str] = os.environ) -> Identity | None:
    """`user` is a name or a number; None takes the caller of sudo, or root itself. None when there is nothing to drop.

    Raises PrivilegesError for an unknown user, and for `user` without root.
    """
    if os.geteuid() != 0:
        if user is not None and user not in (str(os.getuid()), pwd.getpwuid(os.getuid()).pw_name):
            raise PrivilegesError("--user needs root")
        return None
    wanted = user if user is not None else environ.get("SUDO_UID", "0")
    try:
        entry = pwd.getpwuid(int(wanted)) if wanted.isdigit() else pwd.getpwnam(wanted)
    except KeyError:
        raise PrivilegesError(f"there is no user {wanted!r}") from None
    groups = tuple(each.gr_gid for each in grp.getgrall() if entry.pw_name in each.gr_mem)
    if entry.pw_uid == 0:
        groups = ()
    return Identity(entry.pw_uid, entry.pw_gid, groups, entry.pw_dir, entry.pw_name)


def make_folder(path: Path, owner: Identity | None) -> None:
    """Make `path` (0700) for the supervisor, or check that it is the owner's. Raises PrivilegesError, OSError."""
    try:
        path.mkdir(parents=True, mode=0o700)
    except FileExistsError:
        found = path.stat().st_uid
        if owner is not None and found != owner.uid:
            command = f"sudo chown -R {owner.name} {path}"
            raise PrivilegesError(f"{path} belongs to user {found}, not to {owner.name}; {command}") from None
    else:
        if owner is not None:
            os.chown(path, owner.uid, owner.gid)


def drop(who: Identity | None, data_dir: Path) -> None:
    """Become `who` for good; None (not root) only shuts the way up. Call with one thread. Raises PrivilegesError."""
    if sys.platform.startswith("linux"):
        if len(os.listdir("/proc/self/task")) != 1:
            raise PrivilegesError("privileges can only be dropped while the process has one thread")
        if who is not None:
            capabilities.lock_root_out()
            capabilities.drop_bounding()
    if who is not None:
        os.setgroups(who.groups)
        _become(who)
        os.environ |= {"HOME": who.home, "USER": who.name, "LOGNAME": who.name}
    if sys.platform.startswith("linux"):
        if who is not None:
            capabilities.set_to()
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
        if who is not None and who.uid == 0:
            _write_only_in(data_dir)


def _become(who: Identity) -> None:
    if hasattr(os, "setresuid"):
        os.setresgid(who.gid, who.gid, who.gid)
        os.setresuid(who.uid, who.uid, who.uid)
    else:  # macOS: as root these set the saved ids too.
        os.setgid(who.gid)
        os.setuid(who.uid)


def _write_only_in(data_dir: Path) -> None:
    """uid 0 owns most files of the host: owning is taken away by Landlock, as far as this kernel has it."""
    scratch = data_dir / "tmp"
    scratch.mkdir(mode=0o700, exist_ok=True)
    os.environ["TMPDIR"] = str(scratch.resolve())
    rules = [(str(data_dir.resolve()), landlock.WRITE)]
    rules += [(f"/dev/{name}", landlock.WRITE_FILE) for name in _WRITABLE_DEVICES]
    landlock.restrict(handled=landlock.WRITE, rules=rules, scope=landlock.SCOPE_ABSTRACT_UNIX | landlock.SCOPE_SIGNAL)
