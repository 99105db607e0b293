"""Where the controllers of control groups live on this machine: on v1, v2 or both, and below which group ours may be.

`plan` decides it from texts of /proc. Nothing is made here.
"""

import os
from collections.abc import Mapping
from typing import NamedTuple

from lambent.launcher.kernel import files

CONTROLLERS = ("memory", "cpu", "pids", "freezer")
LEAF = "lambent-launcher"
"""Of our own cgroup on v2, for the processes that were in it: it cannot have both them and groups with limits."""
SYSTEMD = "/run/systemd/system"
"""Exists where systemd runs; cgroups are then its own, but for those that it delegates."""


class Hierarchy(NamedTuple):
    version: int
    folder: str
    """Our own cgroup in it, on the host."""
    controllers: tuple[str, ...]


def plan(mountinfo: str, own: str, v2_controllers: Mapping[str, str]) -> tuple[Hierarchy, ...]:
    """Where the controllers are. `mountinfo` and `own` are /proc/self/mountinfo and /proc/self/cgroup; `v2_controllers`
    is cgroup.controllers of a v2 folder, by folder.
    """
    paths = _own_paths(own)
    found: list[Hierarchy] = []
    v2 = next(iter(_v2_folders(mountinfo, own)), None)
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        fields, (kind, _, options) = left.split(), right.split(" ", 2)
        if kind == "cgroup":
            # What v1 has frozen cannot be killed; v2, where there is one, can always freeze.
            offered = set(options.split(",")) - ({"freezer"} if v2 else set())
            names = tuple(name for name in CONTROLLERS if name in offered)
            if names and not any(set(names) & set(each.controllers) for each in found):
                path = next((paths[name] for name in names if name in paths), "/")
                found.append(Hierarchy(1, _folder(fields[4], fields[3], path), names))
    taken = {name for each in found for name in each.controllers}
    if v2:
        # The freezer is part of v2 itself and is not listed among its controllers.
        there = {*v2_controllers.get(v2, "").split(), "freezer"}
        if names := tuple(name for name in CONTROLLERS if name in there - taken):
            found.append(Hierarchy(2, v2, names))
    return tuple(found)


def own_folders(mountinfo: str, own: str) -> list[str]:
    """Our cgroup in every hierarchy of this machine, also in those without a controller that we use."""
    paths, found = _own_paths(own), []
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        fields, (kind, _, options) = left.split(), right.split(" ", 2)
        if kind in ("cgroup", "cgroup2"):
            names = ("",) if kind == "cgroup2" else options.split(",")
            path = next((paths[name] for name in names if name in paths), "/")
            found.append(_folder(fields[4], fields[3], path))
    return found


def _own_paths(own: str) -> dict[str, str]:
    """Controller -> path of our cgroup; v2 under the empty name."""
    paths = {}
    for line in own.splitlines():
        _, names, path = line.split(":", 2)
        for name in names.split(","):
            paths[name] = path
    return paths


def _folder(mount_point: str, root: str, path: str) -> str:
    """The folder of our cgroup `path` below a mount that shows the hierarchy from `root` on."""
    if root != "/" and (path == root or path.startswith(f"{root}/")):
        path = path[len(root) :]
    folder = f"{mount_point}{path}".rstrip("/")
    return folder if os.path.isdir(folder) else mount_point


def discover() -> tuple[Hierarchy, ...]:
    mountinfo, own = files.read("/proc/self/mountinfo"), files.read("/proc/self/cgroup")
    folders = _v2_folders(mountinfo, own)
    return plan(mountinfo, own, {folder: files.read(f"{folder}/cgroup.controllers") for folder in folders})


def writable(hierarchies: tuple[Hierarchy, ...]) -> tuple[Hierarchy, ...]:
    """Those in which our own group is ours, as where a subtree was delegated to an ordinary user."""
    needed = {1: ("", "/tasks"), 2: ("", "/cgroup.procs", "/cgroup.subtree_control")}
    return tuple(
        each
        for each in hierarchies
        if all(os.access(f"{each.folder}{name}", os.W_OK, effective_ids=True) for name in needed[each.version])
    )


def _v2_folders(mountinfo: str, own: str) -> list[str]:
    """Where an earlier launcher has moved us to its leaf, the group above is still ours."""
    path = _own_paths(own).get("", "/").removesuffix(f"/{LEAF}") or "/"
    lines = (line.partition(" - ") for line in mountinfo.splitlines())
    return [_folder(a.split()[4], a.split()[3], path) for a, _, b in lines if b.startswith("cgroup2 ")]
