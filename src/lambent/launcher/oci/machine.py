"""The machine of a launcher that an OCI runtime works for: all cgroup hierarchies, the host's tree beside our own."""

import os
import sys
from contextlib import suppress

from lambent.launcher import hierarchies, leftovers
from lambent.launcher.hierarchies import Hierarchy
from lambent.launcher.kernel import files
from lambent.launcher.machine import Machine
from lambent.launcher.oci import tree


class OciMachine(Machine):
    def _prepare_cgroups(self) -> tuple[tuple[Hierarchy, ...], list[str]]:
        prepared = super()._prepare_cgroups()
        self.own_groups = hierarchies.own_folders(files.read("/proc/self/mountinfo"), files.read("/proc/self/cgroup"))
        # The runtime makes groups in all hierarchies, also in those that we have no use for.
        leftovers.sweep(self.own_groups, self.group_prefix)
        leftovers.write_record(self.record, self.own_groups)
        for folder in self.own_groups:
            with suppress(FileExistsError):
                os.mkdir(f"{folder}/{self.group_name}", 0o755)
        return prepared

    def _leave_host(self) -> None:
        tree.enter(
            base=self.agreed.data_dir,
            packages=self.agreed.packages,
            images=self.folder,
            prefixes=self.agreed.prefixes,
            cgroups=self.groups,
        )
        self.system = tree.system(self.agreed.runtime_entries)
        self.own_prefix = self.agreed.prefixes.index(os.path.realpath(sys.base_prefix))

    def _probe_user_namespaces(self) -> bool:
        return False  # A function has the number that is its own on the host.
