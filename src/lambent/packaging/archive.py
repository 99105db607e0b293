"""The bytes of a deployment package. Equal input gives equal bytes, so that an unchanged function is not deployed
anew: fixed times, fixed order, modes of which only "executable" is kept.

Members are put together compressed as they are, so that neither requirements nor a large file that did not change are
compressed again for each saved line.
"""

import io
import os
import stat
import struct
import time
import zipfile
import zlib
from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lambent.packaging.folder import PackagingError, files

EPOCH: Final = (1980, 1, 1, 0, 0, 0)
LEVEL: Final = 6
FRESH_NS: Final = 200_000_000
"""A file that changed so lately may change again without a newer time: file systems count in milliseconds."""

_NAME_LENGTHS: Final = struct.Struct("<HH")
_HEADER_BYTES: Final = 30


@dataclass(frozen=True, slots=True)
class Member:
    """A file as it is in an archive: what is told of it, with its sizes and checksum, and its compressed bytes."""

    item: zipfile.ZipInfo
    data: bytes


class Memory:
    """Members of one folder, by path, while their files stay as they are. For who packs the same folder again."""

    def __init__(self) -> None:
        self._members: dict[str, tuple[tuple[int, ...], Member]] = {}

    def get(self, path: str, found: os.stat_result) -> Member | None:
        known = self._members.get(path)
        return known[1] if known is not None and known[0] == _state(found) else None

    def put(self, path: str, found: os.stat_result, member: Member) -> None:
        """`found` before it was read."""
        if found.st_ctime_ns < time.time_ns() - FRESH_NS:
            self._members[path] = _state(found), member

    def keep(self, paths: Iterable[str]) -> None:
        """Forget all others."""
        kept = frozenset(paths)
        self._members = {path: known for path, known in self._members.items() if path in kept}


def of_folder(folder: Path, below: bytes | None = None, memory: Memory | None = None) -> bytes:
    """The package of `folder` over that of its requirements, `below`; of one name, the folder's file counts."""
    return of_files(folder, files(folder), below, memory)


def of_files(folder: Path, paths: Iterable[str], below: bytes | None = None, memory: Memory | None = None) -> bytes:
    """Only these files of `folder`."""
    paths = list(paths)
    memory = memory or Memory()
    memory.keep(paths)
    own = [member for path in paths if (member := _member(folder, path, memory)) is not None]
    over = frozenset(paths)
    under = [] if below is None else [member for member in members(below) if member.item.filename not in over]
    return join((*under, *own))


def members(package: bytes) -> list[Member]:
    with zipfile.ZipFile(io.BytesIO(package)) as opened:
        return [Member(item, _compressed(package, item)) for item in opened.infolist()]


def join(parts: Iterable[Member]) -> bytes:
    """One archive of members that are compressed already; `zipfile` knows no such call, and writes what is around."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as package:
        for part in parts:
            item = copy(part.item)
            item.header_offset = out.tell()
            # Sizes are in front of the data here, whoever made the member, and nothing beside them.
            item.flag_bits, item.extra = 0, b""
            out.write(item.FileHeader(zip64=False))
            out.write(part.data)
            package.filelist.append(item)
            package.NameToInfo[item.filename] = item
        package.start_dir = out.tell()
    return out.getvalue()


def _member(folder: Path, path: str, memory: Memory) -> Member | None:
    place = folder / path
    try:
        found = place.lstat()
        if (known := memory.get(path, found)) is not None:
            return known
        if stat.S_ISLNK(found.st_mode):
            made = _compress(path, stat.S_IFLNK | 0o777, os.fsencode(os.readlink(place)))
        else:
            mode = stat.S_IFREG | (0o755 if found.st_mode & 0o100 else 0o644)
            made = _compress(path, mode, place.read_bytes())
    except FileNotFoundError:
        # Gone since the folder was read: editors do that.
        return None
    except OSError as error:
        raise PackagingError(f"cannot read {place}: {error.strerror}") from error
    memory.put(path, found, made)
    return made


def _compress(path: str, mode: int, content: bytes) -> Member:
    item = zipfile.ZipInfo(path, EPOCH)
    item.compress_type = zipfile.ZIP_DEFLATED
    item.external_attr = mode << 16
    item.create_system = 3
    compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    data = compressor.compress(content) + compressor.flush()
    item.CRC, item.file_size, item.compress_size = zlib.crc32(content), len(content), len(data)
    return Member(item, data)


def _compressed(package: bytes, item: zipfile.ZipInfo) -> bytes:
    name, extra = _NAME_LENGTHS.unpack_from(package, item.header_offset + 26)
    at = item.header_offset + _HEADER_BYTES + name + extra
    return package[at : at + item.compress_size]


def _state(found: os.stat_result) -> tuple[int, ...]:
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_mode
