"""Files of a package that another, already unpacked one has too: linked instead of written again.

Equal are two members whose compressed bytes are equal, byte by byte: then what comes out is. A changed line in a
function with large requirements costs a comparison and no inflation. Files of packages are never written to again, so
that a link is as good as a copy.
"""

import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from lambent.functions.archive import Content, Entry

_HEADER_BYTES: Final = 30
_MAGIC: Final = b"PK\x03\x04"


class Unpacked:
    """An archive and the folder that was made of it; both stay while this is used."""

    def __init__(self, data: Content, archive: zipfile.ZipFile, folder: Path) -> None:
        self._data = memoryview(data)
        self._members = {info.filename: info for info in archive.infolist()}
        self._folder = str(folder)

    def linking(self, data: Content) -> Callable[[Entry, str], bool]:
        """For `unpack` of the archive `data`."""
        view = memoryview(data)
        return lambda entry, path: self._link(entry, view, path)

    def _link(self, entry: Entry, data: memoryview, path: str) -> bool:
        """Make `path` the file of the same name, when it is the same as that of `entry` in the archive `data`."""
        info = entry.info
        other = self._members.get(info.filename)
        if other is None or _facts(other) != _facts(info):
            return False
        here, there = _content(data, info), _content(self._data, other)
        # As bytes: views are compared element by element, which takes twice as long as to copy and compare.
        if here is None or there is None or bytes(here) != bytes(there):
            return False
        try:
            os.link(f"{self._folder}/{entry.path}", path)
        except OSError:
            # Too many links, or the folder is not what it was: then it is written.
            return False
        return True


def _facts(info: zipfile.ZipInfo) -> tuple[object, ...]:
    """All that decides, beside the bytes, which file is made."""
    return (
        info.compress_type,
        info.flag_bits,
        info.CRC,
        info.compress_size,
        info.file_size,
        info.external_attr,
        info.create_system,
        info.date_time,
    )


def _content(data: memoryview, info: zipfile.ZipInfo) -> memoryview | None:
    """The compressed bytes; None where the header before them is not sound, which the usual way then tells."""
    start = info.header_offset
    header = bytes(data[start : start + _HEADER_BYTES])
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        return None
    name = int.from_bytes(header[26:28], "little")
    extra = int.from_bytes(header[28:30], "little")
    begin = start + _HEADER_BYTES + name + extra
    # `orig_filename` is as it stands in the central directory.
    encoding = "utf-8" if info.flag_bits & 0x800 else "cp437"
    if bytes(data[start + _HEADER_BYTES : start + _HEADER_BYTES + name]) != info.orig_filename.encode(encoding):
        return None
    if begin + info.compress_size > len(data):
        return None
    return data[begin : begin + info.compress_size]
