"""The launcher of the `oci` driver: the same loop, but an OCI runtime (runc, crun, ...) makes the sandboxes.

It stays in the host's tree, where the runtime finds what it needs. Each sandbox has a process of ours outside
(`oci.first`) in the place of a first process of ours inside.
"""

import os
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import NoReturn

from lambent.launcher import base_tree, cgroups, init, leftovers, request
from lambent.launcher.kernel import seccomp, syscalls
from lambent.launcher.oci import first as oci_first
from lambent.launcher.oci import tree as oci_tree
from lambent.launcher.oci.runtime import OciRuntime
from lambent.launcher.server import Launcher, Running

_END_TIMEOUT_S = 5.0
_V2 = "/sys/fs/cgroup"


class OciLauncher(Launcher):
    """Agreed with a `program`. Raises OSError."""

    def _prepare_cgroups(self) -> tuple[tuple[cgroups.Hierarchy, ...], list[str]]:
        prepared = super()._prepare_cgroups()
        self._own_groups = cgroups.own_folders(_read("/proc/self/mountinfo"), _read("/proc/self/cgroup"))
        # The runtime makes groups in all hierarchies, also in those that we have no use for.
        leftovers.sweep(self._own_groups, self._group_prefix)
        leftovers.write_record(self._record, self._own_groups)
        for folder in self._own_groups:
            with suppress(FileExistsError):
                os.mkdir(f"{folder}/{self._group_name}", 0o755)
        return prepared

    def _leave_host(self) -> None:
        oci_tree.enter(
            base=self._agreed.data_dir,
            packages=self._agreed.packages,
            images=self._own_folder,
            prefixes=self._agreed.prefixes,
            cgroups=self._groups,
        )
        self._parents = tuple(
            (hierarchy, base_tree.cgroup_path(index)) for index, hierarchy in enumerate(self._hierarchies)
        )
        self._system = oci_tree.system(self._agreed.runtime_entries)
        self._own_prefix = self._agreed.prefixes.index(os.path.realpath(sys.base_prefix))
        self._null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        self._profile = None if self._filter is None else seccomp.oci_profile()

    def _probe_user_namespaces(self) -> bool:
        return False  # A function has the number that is its own on the host.

    def _fork(self) -> int:
        return syscalls.clone(0)

    def _become(self, wanted: request.Prepare, blueprint: init.Blueprint, control: socket.socket) -> NoReturn:
        oci_first.run(self._plan(wanted, int(blueprint.slot)), control)

    def _start_zygote(self, runtime: int, control: socket.socket) -> None:
        raise request.BadRequest("containers of an OCI runtime cannot be forked")

    def _plan(self, wanted: request.Prepare, slot: int) -> oci_first.Blueprint:
        assert self._agreed.oci is not None
        return oci_first.Blueprint(
            name=self._container(slot),
            slot=str(slot),
            limits=wanted.limits,
            prefixes=len(self._agreed.prefixes),
            own_prefix=self._own_prefix,
            interpreter=f"/var/lang/bin/python{sys.version_info.major}.{sys.version_info.minor}",
            runtime=None if wanted.runtime is None else self._agreed.runtimes[wanted.runtime],
            tmp_blanks=self._blanks if self._tmp_images else None,
            host_id=self._ids.first + slot,
            program=self._agreed.oci,
            system=self._system,
            parents=self._parents,
            groups=self._group_path(slot),
            seccomp=self._profile,
        )

    def _group_path(self, slot: int) -> str | None:
        """As the OCI runtime understands it: on v1 relative to the group that a process is in, in each hierarchy; on v2
        it would be relative to the one above, so it is absolute."""
        if not self._hierarchies:
            return None
        path = f"{self._group_name}/{slot}"
        if any(each.version == 1 for each in self._hierarchies):
            return path
        return f"{self._hierarchies[0].folder.removeprefix(_V2)}/{path}"

    def _container(self, slot: int) -> str:
        return f"{self._group_name}-{slot}"

    def _clean(self, ended: Running, code: int) -> None:
        if code != 0:  # It was killed, or failed: what it had is still there.
            assert self._agreed.oci is not None
            OciRuntime(self._agreed.oci, self._null).delete(self._container(ended.slot))
            with suppress(OSError):
                oci_first.clear_slot(str(ended.slot))
        self._remove_foreign_groups(f"{self._group_name}/{ended.slot}")
        super()._clean(ended, code)

    def _remove_foreign_groups(self, name: str) -> None:
        for folder in self._own_groups:
            with suppress(OSError):
                os.rmdir(f"{folder}/{name}")

    def _end(self) -> None:
        for pid in self._running:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + _END_TIMEOUT_S
        while self._running and time.monotonic() < deadline:
            self._reap()
            time.sleep(0.001)
        super()._end()
        self._remove_foreign_groups(self._group_name)


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()
