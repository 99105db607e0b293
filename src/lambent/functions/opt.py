"""What is under /opt: the packages of a function's layers, merged in their order, a later one over an earlier one.

A merged folder consists of hard links to the files of the unpacked packages, so it costs no second copy, and is named
by a digest like them. Nothing of the sources is changed.
"""

import errno
import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lambent.functions.records import CodePackage
from lambent.functions.unpack import remove

_NO_LINK: Final = (errno.EXDEV, errno.EMLINK, errno.EPERM)


def opt_digest(layers: Sequence[CodePackage]) -> str | None:
    """The name of the folder that is /opt: None without layers, one layer's own package, or the merged folder's."""
    if not layers:
        return None
    if len(layers) == 1:
        return layers[0].sha256
    return hashlib.sha256("\n".join(("opt", *(layer.sha256 for layer in layers))).encode()).hexdigest()


def merge(sources: Sequence[Path], folder: Path) -> None:
    """Fill the empty `folder` from unpacked packages. A file over a folder, or the reverse, replaces it whole."""
    for source in sources:
        _lay_over(str(source), str(folder))
    _make_read_only(str(folder))


def _lay_over(source: str, target: str) -> None:
    with os.scandir(source) as entries:
        for entry in entries:
            place = f"{target}/{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                if not _is_folder(place):
                    _clear(place)
                    os.mkdir(place, 0o700)
                _lay_over(entry.path, place)
            else:
                _clear(place)
                _link(entry.path, place)


def _is_folder(place: str) -> bool:
    return os.path.isdir(place) and not os.path.islink(place)


def _clear(place: str) -> None:
    if _is_folder(place):
        remove(Path(place))
    elif os.path.lexists(place):
        os.unlink(place)


def _link(source: str, place: str) -> None:
    try:
        os.link(source, place, follow_symlinks=False)
    except OSError as error:
        # File systems without hard links, or with few; and some systems link no symbolic links.
        if error.errno not in _NO_LINK:
            raise
        shutil.copy2(source, place, follow_symlinks=False)


def _make_read_only(folder: str) -> None:
    for place, _folders, _files in os.walk(folder, topdown=False):
        os.chmod(place, 0o555)
