"""Writes a planned package into a folder, counting the bytes that really come out of the archive.

Files become read-only, executable where the archive says so, folders 0555; owners, setuid bits and devices do not
exist here. Holds one chunk in memory. Whoever calls removes the folder when this fails.
"""

import calendar
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

from lambent.functions.archive import COULD_NOT_UNZIP, UNREADABLE, BadPackage, Entry, Plan, too_large
from lambent.functions.quotas import Quotas

_CHUNK_BYTES = 256 * 1024
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_EPOCH_YEAR = 1980


Link = Callable[[Entry, str], bool]
"""Make the file of an entry at a path without writing it; whether it was done. What it makes has the entry's size."""


def unpack(archive: zipfile.ZipFile, plan: Plan, folder: Path, quotas: Quotas, link: Link | None = None) -> int:
    """Write the package into the empty `folder`; return its size in bytes.

    `BadPackage` for what the headers did not show (too large, broken, two names that this file system holds for one);
    `OSError` when the disk is at fault.
    """
    root = str(folder)
    for path in plan.folders:
        _make_folder(f"{root}/{path}")
    total = 0
    for entry in plan.files:
        path = f"{root}/{entry.path}"
        if link is not None and total + entry.info.file_size < quotas.max_unzipped_bytes and link(entry, path):
            total += entry.info.file_size
        else:
            total += _write(archive, entry, path, quotas, total)
    for entry in plan.links:
        os.symlink(entry.target, f"{root}/{entry.path}")
    for path in reversed(plan.folders):
        os.chmod(f"{root}/{path}", 0o555)
    os.chmod(root, 0o555)
    return total


def measure(archive: zipfile.ZipFile, plan: Plan, quotas: Quotas) -> int:
    """Read the package through without writing it; for a dry run."""
    total = 0
    for entry in plan.files:
        total += _copy(archive, entry, None, quotas, total)
    return total


def remove(folder: Path) -> None:
    """Remove an unpacked package or a part of one."""
    for place, _folders, _files in os.walk(folder):
        os.chmod(place, 0o700)
    shutil.rmtree(folder)


def _make_folder(path: str) -> None:
    try:
        os.mkdir(path, 0o700)
    except FileExistsError as error:
        raise BadPackage(COULD_NOT_UNZIP) from error


def _write(archive: zipfile.ZipFile, entry: Entry, path: str, quotas: Quotas, before: int) -> int:
    try:
        descriptor = os.open(path, _NEW_FILE, 0o600)
    except FileExistsError as error:
        # Names that differ only in case, on a file system that does not tell them apart.
        raise BadPackage(COULD_NOT_UNZIP) from error
    try:
        size = _copy(archive, entry, descriptor, quotas, before)
        os.fchmod(descriptor, 0o555 if entry.executable else 0o444)
        # A .pyc in the package is valid only beside a source of the right age.
        os.utime(descriptor, (_modified(entry.info), _modified(entry.info)))
    finally:
        os.close(descriptor)
    return size


def _copy(archive: zipfile.ZipFile, entry: Entry, descriptor: int | None, quotas: Quotas, before: int) -> int:
    size = 0
    try:
        with archive.open(entry.info) as source:
            while chunk := source.read(_CHUNK_BYTES):
                size += len(chunk)
                if before + size >= quotas.max_unzipped_bytes:
                    raise too_large(quotas)
                if descriptor is not None:
                    _write_all(descriptor, chunk)
    except UNREADABLE as error:
        raise BadPackage(COULD_NOT_UNZIP) from error
    if size != entry.info.file_size:
        raise BadPackage(COULD_NOT_UNZIP)
    return size


def _write_all(descriptor: int, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[os.write(descriptor, view) :]


def _modified(info: zipfile.ZipInfo) -> int:
    year, month, day, hour, minute, second = info.date_time
    if not 1 <= month <= 12 or not 1 <= day <= 31:
        year, month, day = _EPOCH_YEAR, 1, 1
    return calendar.timegm((year, month, day, hour, minute, second))
