"""The user namespace that a launcher without root works in: it is root in there, and nobody special outside.

Functions get user numbers of a range that is the caller's own: of /etc/subuid through newuidmap, or, for a root without
the other privileges, numbers that it may give itself. Without a range they all have the caller's number, and only the
other walls are between them and the caller. A process with threads cannot enter one, so the launcher does, first thing.
"""

import os
from collections.abc import Iterable
from typing import NamedTuple

from lambent.launcher.kernel import capabilities, files, syscalls

_PROGRAMS = "/usr/bin"
_PER_DATA_DIR = 4096
_MOST = 0x1_0000
REFUSING = (
    (
        "kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "AppArmor lets only programs with a profile have user namespaces "
        "(kernel.apparmor_restrict_unprivileged_userns is 1)",
    ),
    ("kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone is 0"),
    ("user/max_user_namespaces", "0", "user.max_user_namespaces is 0"),
)
"""Settings below /proc/sys, the value that refuses user namespaces to ordinary users, and what to say then."""


class NoUserNamespace(Exception):
    """This machine lets its ordinary users have none. The message says why."""


class Ids(NamedTuple):
    """The numbers of functions, as seen in the namespace."""

    first: int
    size: int
    missing: str | None
    """Why functions have no numbers of their own; None: they have."""


class _Range(NamedTuple):
    start: int
    size: int


ALONE = 1
"""The length of a map of one user alone: everybody in there has the number of the caller."""


def enter(mark: str) -> Ids:
    """Make the namespace and be root in it. `mark` (eight hexadecimal digits) spreads data dirs over the range.

    Raises NoUserNamespace.
    """
    uid, gid = os.geteuid(), os.getegid()
    own_ids = may_set_ids()
    ready, made = os.pipe2(os.O_CLOEXEC)
    heard, tell = os.pipe2(os.O_CLOEXEC)
    target = os.getpid()
    # The map of another process is written from outside, and once this one is inside it has no rights outside.
    helper = os.fork()
    if helper == 0:
        os.close(made)
        if os.read(ready, 1):
            os.write(tell, _map(target, uid, gid, own_ids=own_ids).encode())
        os._exit(0)
    os.close(tell)
    try:
        syscalls.unshare(syscalls.CLONE_NEWUSER)
        os.write(made, b"m")
        mapped, _, missing = os.read(heard, 4096).decode().partition(" ")
    except OSError as error:
        raise NoUserNamespace(_why(error)) from None
    finally:
        os.close(made)
        os.waitpid(helper, 0)
        os.close(heard)
        os.close(ready)
    count = int(mapped or ALONE)
    try:
        if count == ALONE:
            _map_alone(uid, gid)
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        if count > ALONE:
            os.setgroups([])
    except OSError as error:
        raise NoUserNamespace(_why(error)) from None
    if count == ALONE:
        return Ids(0, ALONE, missing or "its users could not be mapped")
    return _share(count - 1, mark)


def own_range(mark: str) -> Ids:
    """Numbers that a process with the capabilities to set ids may give to functions, where it is. Raises OSError."""
    users, groups = (_free_part(_extents(f"/proc/self/{kind}_map")) for kind in ("uid", "gid"))
    if users.start != groups.start:
        raise OSError("users and groups are mapped differently here")
    share = _share(min(users.size, groups.size), mark)
    return share._replace(first=users.start + share.first - 1)


def _share(count: int, mark: str) -> Ids:
    """The part of the range for one data dir: another server of the same user takes another one, most probably."""
    parts = max(1, count // _PER_DATA_DIR)
    return Ids(1 + int(mark, 16) % parts * _PER_DATA_DIR, min(count, _PER_DATA_DIR), None)


def _map(target: int, uid: int, gid: int, *, own_ids: bool) -> str:
    """Map the caller and a range for `target`. Returns how many numbers it has now, or ALONE and why no more."""
    if own_ids:
        try:
            users, groups = (_free_part(_extents(f"/proc/self/{kind}_map")) for kind in ("uid", "gid"))
            count = min(users.size, groups.size)
            for kind, own, free in (("uid", uid, users), ("gid", gid, groups)):
                files.write(f"/proc/{target}/{kind}_map", f"0 {own} 1\n1 {free.start} {count}\n")
        except OSError as error:
            return f"{ALONE} the range of numbers was refused: {error}"
        return str(1 + count)
    programs = [f"{_PROGRAMS}/new{kind}map" for kind in ("uid", "gid")]
    if not all(os.path.exists(program) for program in programs):
        return f"{ALONE} newuidmap is missing (package uidmap)"
    ranges = [_subordinate(f"/etc/sub{kind}", uid) for kind in ("uid", "gid")]
    if (found := [each for each in ranges if each is not None]) != ranges:
        return f"{ALONE} the user has no numbers in /etc/subuid and /etc/subgid"
    count = min(each.size for each in found)
    for program, own, free in zip(programs, (uid, gid), found, strict=True):
        if said := _run(program, str(target), "0", str(own), "1", "1", str(free.start), str(count)):
            return f"{ALONE} {said}"
    return str(1 + count)


def _map_alone(uid: int, gid: int) -> None:
    files.write("/proc/self/setgroups", "deny")
    files.write("/proc/self/uid_map", f"0 {uid} 1\n")
    files.write("/proc/self/gid_map", f"0 {gid} 1\n")


def may_set_ids() -> bool:
    held = capabilities.held()
    return all(held >> capability & 1 for capability in (capabilities.SETUID, capabilities.SETGID))


def _extents(path: str) -> list[_Range]:
    with open(path, encoding="utf-8") as file:
        return [_Range(int(inside), int(count)) for inside, _, count in map(str.split, file)]


def _free_part(extents: Iterable[_Range]) -> _Range:
    """The end of the longest stretch of numbers: users of a machine are at its beginning."""
    longest = max(extents, key=lambda each: each.size)
    # The last number of all means none, and the half above belongs to nobody by custom.
    end = min(longest.start + longest.size, 0x8000_0000)
    count = min((end - longest.start) // 2, _MOST)
    return _Range(end - count, count)


def has_subordinate_ids(uid: int) -> bool:
    return all(_subordinate(f"/etc/sub{kind}", uid) is not None for kind in ("uid", "gid"))


def _subordinate(path: str, uid: int) -> _Range | None:
    """The first range of a user in /etc/subuid, by number or name."""
    names = {str(uid)}
    try:
        with open("/etc/passwd", encoding="utf-8", errors="replace") as users:
            names |= {fields[0] for fields in (line.split(":") for line in users) if fields[2:3] == [str(uid)]}
        with open(path, encoding="utf-8", errors="replace") as ranges:
            for name, start, count in (line.strip().split(":") for line in ranges if line.count(":") == 2):
                if name in names and int(count) > 0:
                    return _Range(int(start), int(count))
    except (OSError, ValueError):
        return None
    return None


def _run(program: str, *arguments: str) -> str:
    """What it said when it failed, else nothing."""
    heard, tell = os.pipe2(os.O_CLOEXEC)
    spawned = os.posix_spawn(program, [program, *arguments], {}, file_actions=[(os.POSIX_SPAWN_DUP2, tell, 2)])
    os.close(tell)
    said = os.read(heard, 1000).decode(errors="replace").strip()
    os.close(heard)
    _, status = os.waitpid(spawned, 0)
    return (said.replace("\n", "; ") or f"{program} failed") if status else ""


def _why(error: OSError) -> str:
    for name, value, text in REFUSING:
        try:
            with open(f"/proc/sys/{name}", encoding="utf-8") as file:
                if file.read().strip() == value:
                    return text
        except OSError:
            continue
    return f"the kernel refuses a user namespace: {error.strerror} (a container's system call filter does so)"
