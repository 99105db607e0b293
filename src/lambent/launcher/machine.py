"""The machine as one launcher finds and prepares it: filters of system calls, cgroups, its own tree, disk images.

What cannot be had is a guarantee that is missing, with its reason, and not an error. In this order: made, while the
host's tree is still there; `enter`; `probe`.
"""

import os
from contextlib import suppress

from lambent.launcher import base_tree, cgroups, leftovers, tmp_image
from lambent.launcher.agreed import Agreed
from lambent.launcher.hierarchies import SYSTEMD, Hierarchy, discover, writable
from lambent.launcher.kernel import seccomp, syscalls
from lambent.launcher.user_namespace import Ids

_PROBE_TMP_MB, _USUAL_TMP_MB = 8, 512
_SLOTS_WITHOUT_NUMBERS = 0x1_0000


class Machine:
    def __init__(self, agreed: Agreed, ids: Ids) -> None:
        self.agreed = agreed
        self.ids = ids
        self.missing: dict[str, str] = {}
        """Guarantee -> why this machine cannot give it."""
        if ids.missing is not None:
            self.missing["user"] = f"a function has the number of the server's user: {ids.missing}"
        self.group_prefix = f"lambent-{agreed.mark}-"
        self.group_name = self.group_prefix + leftovers.owner_mark(os.getpid())
        self._above_groups: list[int] = []
        # Of two names, since one of root's could not be used without root.
        self.folder = f"{agreed.data_dir}/{'rootless' if agreed.rootless else 'launcher'}"
        self.record = f"{self.folder}/cgroups"
        os.makedirs(self.folder, 0o700, exist_ok=True)
        self.filter = self._compile_filter()
        self.template_filter = self._compile_filter(template=True)
        self.hierarchies, self.groups = self._prepare_cgroups()
        self.parents: tuple[tuple[Hierarchy, str], ...] = ()
        """The folders of our cgroups, as they are called once the host's tree is left."""
        self.proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        """Of the host."""
        self.blanks: dict[int, tmp_image.Extents] = {}
        self.tmp_images = False
        self.user_namespaces = False

    def enter(self) -> None:
        """Leave the host's tree for our own. Raises OSError."""
        self._leave_host()
        self.parents = tuple(
            (hierarchy, base_tree.cgroup_path(index)) for index, hierarchy in enumerate(self.hierarchies)
        )
        if self.agreed.rootless:
            _check_proc()

    def probe(self) -> None:
        self.tmp_images = self._probe_tmp_images()
        self.user_namespaces = self._probe_user_namespaces()

    @property
    def slots(self) -> int:
        """For how many sandboxes there are numbers of users; the last of them is no function's."""
        return self.ids.size - 1 if self.ids.missing is None else _SLOTS_WITHOUT_NUMBERS

    def host_id(self, slot: int) -> int:
        return self.ids.first + (slot if self.ids.missing is None else 0)

    def blank(self, size_mb: int) -> tmp_image.Extents:
        if size_mb not in self.blanks:
            self.blanks[size_mb] = tmp_image.blank(size_mb)
        return self.blanks[size_mb]

    def leave(self) -> None:
        """Remove what was made of cgroups. No sandbox is left."""
        for _, folder in self.parents:
            syscalls.umount(folder)
        for parent in self._above_groups:
            with suppress(OSError):  # A process that did not end: the next start sweeps it.
                os.rmdir(self.group_name, dir_fd=parent)

    def _compile_filter(self, *, template: bool = False) -> bytes | None:
        try:
            return seccomp.compile_filter(template=template)
        except seccomp.SeccompUnavailable as error:
            self.missing["syscalls"] = str(error)
            return None

    def _prepare_cgroups(self) -> tuple[tuple[Hierarchy, ...], list[str]]:
        try:
            if os.path.isdir(SYSTEMD) and not self.agreed.delegated:
                raise OSError("systemd runs here and gave none: systemd-run, which asks for some, is missing or failed")
            hierarchies = writable(discover()) if self.agreed.rootless else discover()
            parents = [each.folder for each in hierarchies]
            leftovers.sweep({*leftovers.recorded(self.record), *parents}, self.group_prefix)
            leftovers.write_record(self.record, parents)
            folders = cgroups.prepare(hierarchies, self.group_name)
            # Our folders can only be removed from above, and the launcher leaves the host's tree.
            self._above_groups = [os.open(each.folder, os.O_PATH | os.O_CLOEXEC) for each in hierarchies]
        except OSError as error:
            hierarchies, folders = (), []
            reason = f"cgroups cannot be used: {error}"
        else:
            reason = "the kernel offers no such cgroup controller here"
            if self.agreed.rootless:
                reason = "no control group with it was delegated to this user"
        found = {name for each in hierarchies for name in each.controllers}
        # Processes have another limit then, which the probe tries; see execute.Fallback.
        self.missing |= {name: reason for name in ("memory", "cpu") if name not in found}
        return hierarchies, folders

    def _leave_host(self) -> None:
        base_tree.enter(
            base=self.agreed.data_dir,
            packages=self.agreed.packages,
            images=self.folder,
            prefixes=list(self.agreed.prefixes),
            runtime_entries=self.agreed.runtime_entries,
            cgroups=self.groups,
            rootless=self.agreed.rootless,
        )

    def _probe_user_namespaces(self) -> bool:
        """Without them a function still has a user of its own, only its number inside is another than AWS's."""
        try:
            pid = syscalls.clone(syscalls.CLONE_NEWUSER)
        except OSError:
            return False
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        return True

    def _probe_tmp_images(self) -> bool:
        if self.agreed.rootless:
            self.missing["tmp"] = "only root mounts disk images: /tmp is memory, and counts as the function's"
            return False
        try:
            mounted = tmp_image.mount(_PROBE_TMP_MB, self.blank(_PROBE_TMP_MB), "/tmp", 0, 0)
            tmp_image.discard("/tmp", mounted)
            self.blank(_USUAL_TMP_MB)
        except (OSError, tmp_image.TmpUnavailable) as error:
            self.missing["tmp"] = f"{error}; /tmp counts as memory of the function"
            return False
        return True


def _check_proc() -> None:
    """The kernel lets a user namespace mount /proc only where nothing of it is covered, as containers cover some."""
    pid = syscalls.clone(syscalls.CLONE_NEWNS | syscalls.CLONE_NEWPID)
    if pid == 0:
        try:
            syscalls.mount("proc", "/proc", "proc", 0)
        except OSError:
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    if status:
        text = "the kernel refuses a /proc of its own to a user namespace here, as where parts of /proc are covered"
        raise OSError(f"{text} (docker run --security-opt systempaths=unconfined)")
