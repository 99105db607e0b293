"""The bytes of a deployment package. Equal input gives equal bytes, so that an unchanged function is not deployed
anew: fixed times, fixed order, modes of which only "executable" is kept."""

import io
import os
import stat
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from lambent.packaging.folder import PackagingError, files

EPOCH: Final = (1980, 1, 1, 0, 0, 0)
LEVEL: Final = 6


def of_folder(folder: Path, below: bytes | None = None) -> bytes:
    """The package of `folder` over that of its requirements, `below`; of one name, the folder's file counts."""
    return of_files(folder, files(folder), below)


def of_files(folder: Path, paths: Iterable[str], below: bytes | None = None) -> bytes:
    """Only these files of `folder`."""
    paths = list(paths)
    out = io.BytesIO()
    if below is not None:
        out.write(_without(below, frozenset(paths)))
    with zipfile.ZipFile(out, "w" if below is None else "a", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as package:
        for path in paths:
            _add(package, folder, path)
    return out.getvalue()


def _add(package: zipfile.ZipFile, folder: Path, path: str) -> None:
    place = folder / path
    try:
        mode = place.lstat().st_mode
        if stat.S_ISLNK(mode):
            package.writestr(_item(path, stat.S_IFLNK | 0o777), os.readlink(place))
        else:
            package.writestr(_item(path, stat.S_IFREG | (0o755 if mode & 0o100 else 0o644)), place.read_bytes())
    except FileNotFoundError:
        # Gone since the folder was read: editors do that.
        return
    except OSError as error:
        raise PackagingError(f"cannot read {place}: {error.strerror}") from error


def _item(path: str, mode: int) -> zipfile.ZipInfo:
    item = zipfile.ZipInfo(path, EPOCH)
    item.compress_type = zipfile.ZIP_DEFLATED
    item.external_attr = mode << 16
    item.create_system = 3
    return item


def _without(package: bytes, paths: frozenset[str]) -> bytes:
    """`package` without these members; a member cannot be there twice."""
    with zipfile.ZipFile(io.BytesIO(package)) as before:
        if paths.isdisjoint(before.namelist()):
            return package
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as after:
            for item in before.infolist():
                if item.filename not in paths:
                    after.writestr(item, before.read(item))
    return out.getvalue()
