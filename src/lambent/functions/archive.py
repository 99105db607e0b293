"""What a zip archive would put where, and whether we let it. Decides before one byte is written; writes nothing.

Refuses names that leave the package, links that do, devices, duplicates, encryption and exotic compression. Sizes in
headers are only a first filter: `unpack` counts what really comes out.
"""

import io
import mmap
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import IO, TYPE_CHECKING, Final

from lambent.functions.quotas import Quotas

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Content = bytes | mmap.mmap
"""Of an archive: it came with a request, or it is a file that is looked at where it is."""
COULD_NOT_UNZIP: Final = "Could not unzip uploaded file. Please check your file, then try to upload again."
EMPTY: Final = "Uploaded file must be a non-empty zip"
UNREADABLE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    ValueError,
    OverflowError,
    IndexError,
)
"""What the standard library raises for archives that are broken in one way or another."""

_MAX_LINK_BYTES = 4096
_MAX_NAME_BYTES = 255
_MAX_PATH_BYTES = 2048
_MAX_LINK_HOPS = 40
_ENCRYPTED = 0x1
_CENTRAL_RECORD = b"PK\x01\x02"
_COUNT_BYTES = 512 * 1024
_READ_BYTES = 64 * 1024


class BadPackage(Exception):
    """The archive is refused; the message is for the caller of the API."""


class Kind(Enum):
    FILE = auto()
    FOLDER = auto()
    LINK = auto()


@dataclass(frozen=True, slots=True)
class Entry:
    """`path` is relative, normalised and joined by `/`."""

    path: str
    kind: Kind
    executable: bool
    info: zipfile.ZipInfo
    target: str = ""
    """Where a link points, as stored."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A package that may be unpacked: folders parents first, then files, then links."""

    folders: tuple[str, ...]
    files: tuple[Entry, ...]
    links: tuple[Entry, ...]


def refused(why: str) -> BadPackage:
    return BadPackage(f"{COULD_NOT_UNZIP} ({why})")


def open_archive(data: Content, quotas: Quotas) -> zipfile.ZipFile:
    """Read the archive's directory. Never builds more records than the quota of entries."""
    if not data:
        raise BadPackage(EMPTY)
    if _records_at_most(data) > quotas.max_package_entries:
        raise refused(f"more than {quotas.max_package_entries} entries")
    try:
        archive = zipfile.ZipFile(readable(data))
    except UNREADABLE as error:
        raise BadPackage(COULD_NOT_UNZIP) from error
    if not archive.infolist():
        raise BadPackage(EMPTY)
    return archive


def readable(data: Content) -> IO[bytes]:
    """A file to read it from, that copies nothing as a whole."""
    return io.BytesIO(data) if isinstance(data, bytes) else io.BufferedReader(_Mapped(data), _READ_BYTES)


class _Mapped(io.RawIOBase):
    """`mmap` has a position too, but is not all of a file before Python 3.13."""

    def __init__(self, content: mmap.mmap) -> None:
        self._content = memoryview(content)
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._content)}[whence]
        if base + offset < 0:
            raise ValueError("before the beginning")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        view = memoryview(buffer).cast("B")
        found = self._content[self._at : self._at + len(view)]
        view[: len(found)] = found
        self._at += len(found)
        return len(found)


def _records_at_most(data: Content) -> int:
    """No fewer than the entries that the archive's directory can hold.

    Counted in steps, since each holds the interpreter's lock: 50 MB at once would stop the server for 25 ms.
    """
    overlap = len(_CENTRAL_RECORD) - 1
    steps = range(0, len(data), _COUNT_BYTES)
    return sum(data[at : at + _COUNT_BYTES + overlap].count(_CENTRAL_RECORD) for at in steps)


def plan(archive: zipfile.ZipFile, quotas: Quotas) -> Plan:
    """Decide about every entry. `BadPackage` for the first that is not acceptable."""
    infos = archive.infolist()
    if sum(info.file_size for info in infos) >= quotas.max_unzipped_bytes:
        raise too_large(quotas)
    entries = [entry for info in infos if (entry := _entry(archive, info)) is not None]
    kinds = _tree(entries, quotas.max_package_entries)
    links = {entry.path: entry.target for entry in entries if entry.kind is Kind.LINK}
    for path in links:
        _check_link(path, links)
    return Plan(
        folders=tuple(path for path, kind in kinds.items() if kind is Kind.FOLDER),
        files=tuple(entry for entry in entries if entry.kind is Kind.FILE),
        links=tuple(entry for entry in entries if entry.kind is Kind.LINK),
    )


def too_large(quotas: Quotas) -> BadPackage:
    return BadPackage(f"Unzipped size must be smaller than {quotas.max_unzipped_bytes} bytes")


def _entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Entry | None:
    path = normalised(info.orig_filename)
    if info.flag_bits & _ENCRYPTED:
        raise refused(f"{path!r} is encrypted")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise refused(f"{path!r} is compressed by an unsupported method")
    mode = info.external_attr >> 16
    kind = _kind(info, mode, path)
    if not path:
        if kind is Kind.FOLDER:
            return None
        raise refused("an entry without a name")
    target = _link_target(archive, info, path) if kind is Kind.LINK else ""
    return Entry(path, kind, bool(mode & 0o111), info, target)


def _kind(info: zipfile.ZipInfo, mode: int, path: str) -> Kind:
    named_folder = info.orig_filename.endswith("/")
    match stat.S_IFMT(mode):
        case 0:
            return Kind.FOLDER if named_folder else Kind.FILE
        case stat.S_IFREG if not named_folder:
            return Kind.FILE
        case stat.S_IFDIR:
            return Kind.FOLDER
        case stat.S_IFLNK if not named_folder:
            return Kind.LINK
        case _:
            raise refused(f"{path!r} is neither a file, a folder nor a link")


def normalised(name: str) -> str:
    """The path inside the package; `BadPackage` when it would be outside, or is written to deceive."""
    if "\0" in name or "\\" in name:
        raise refused(f"{name!r} has a backslash or a null in its name")
    if name.startswith("/"):
        raise refused(f"{name!r} is an absolute name")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise refused(f"{name!r} leaves the package")
    try:
        lengths = [len(part.encode()) for part in parts]
    except UnicodeEncodeError:
        raise refused(f"{name!r} is not a name in Unicode") from None
    if any(length > _MAX_NAME_BYTES for length in lengths) or sum(lengths) + len(lengths) > _MAX_PATH_BYTES:
        raise refused("a name is too long")
    return "/".join(parts)


def _link_target(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: str) -> str:
    if not 0 < info.file_size <= _MAX_LINK_BYTES:
        raise refused(f"{path!r} is a broken link")
    try:
        with archive.open(info) as source:
            target = source.read(_MAX_LINK_BYTES + 1).decode()
    except UNREADABLE as error:
        raise BadPackage(COULD_NOT_UNZIP) from error
    if "\0" in target or not target:
        raise refused(f"{path!r} is a broken link")
    return target


def _tree(entries: Iterable[Entry], max_nodes: int) -> Mapping[str, Kind]:
    """All paths with parents before children; refuses two things at one place."""
    kinds: dict[str, Kind] = {}
    implied: set[str] = set()
    for entry in entries:
        parent = ""
        for part in entry.path.split("/")[:-1]:
            parent = f"{parent}/{part}" if parent else part
            if parent not in kinds:
                kinds[parent] = Kind.FOLDER
                implied.add(parent)
            elif kinds[parent] is not Kind.FOLDER:
                raise refused(f"{parent!r} is both a folder and something else")
        if entry.kind is Kind.FOLDER and entry.path in implied:
            implied.remove(entry.path)
        elif entry.path in kinds:
            raise refused(f"{entry.path!r} is there twice")
        else:
            kinds[entry.path] = entry.kind
        if len(kinds) > max_nodes:
            raise refused(f"more than {max_nodes} entries")
    return kinds


def _check_link(path: str, links: Mapping[str, str]) -> None:
    """Walk as the kernel would, through other links too, and refuse to leave the package at any step."""
    here = path.split("/")[:-1]
    ahead = links[path].split("/")[::-1]
    hops = 0
    if links[path].startswith("/"):
        raise refused(f"the link {path!r} leaves the package")
    while ahead:
        part = ahead.pop()
        if part in ("", "."):
            continue
        if part == "..":
            if not here:
                raise refused(f"the link {path!r} leaves the package")
            here.pop()
            continue
        here.append(part)
        target = links.get("/".join(here))
        if target is not None:
            hops += 1
            if hops > _MAX_LINK_HOPS or target.startswith("/"):
                raise refused(f"the link {path!r} leads nowhere in the package")
            here.pop()
            ahead.extend(target.split("/")[::-1])
