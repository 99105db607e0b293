"""/tmp of one sandbox: mounted before its function is known, replaced while still empty when another size is wanted."""

from collections.abc import Mapping

from lambent.launcher import tmp_image
from lambent.launcher.kernel import syscalls

TARGET = tmp_image.TARGET


class TmpFolder:
    """`blanks` are those that the launcher has made, by size; None: this machine has no images, it is a tmpfs."""

    def __init__(self, blanks: Mapping[int, tmp_image.Extents] | None, owner: int, target: str = TARGET) -> None:
        self._blanks = blanks
        self._owner = owner
        self._target = target
        self._size_mb = 0
        self._mounted: tmp_image.Mounted | None = None

    def mount(self, size_mb: int) -> None:
        """Nothing when it has this size."""
        if size_mb == self._size_mb:
            return
        self.discard()
        self._size_mb = size_mb
        if self._blanks is None:
            options = f"size={size_mb}m,mode=0700,uid={self._owner},gid={self._owner}"
            syscalls.mount("tmp", self._target, "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, options)
        else:
            # A size that the launcher had not met when it forked this process is made here, in some milliseconds.
            blank = self._blanks[size_mb] if size_mb in self._blanks else tmp_image.blank(size_mb)
            self._mounted = tmp_image.mount(size_mb, blank, self._target, self._owner, self._owner)

    def mount_copy(self, source: int) -> None:
        """Instead of `mount`: what another image holds."""
        self._mounted = tmp_image.mount_copy(source, self._target)

    @property
    def image(self) -> int | None:
        """Of what is mounted, where it is one."""
        return self._mounted.image if self._mounted is not None else None

    def discard(self) -> None:
        if self._mounted is not None:
            tmp_image.discard(self._target, self._mounted)
            self._mounted = None
        elif self._size_mb:
            syscalls.umount(self._target)
        self._size_mb = 0
