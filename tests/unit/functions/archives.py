"""Zip archives for tests, also such as no tool would write."""

import io
import stat
import struct
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Member:
    name: str
    data: bytes = b""
    mode: int = stat.S_IFREG | 0o644
    compression: int = zipfile.ZIP_DEFLATED


def link(name: str, target: str) -> Member:
    return Member(name, target.encode(), stat.S_IFLNK | 0o777)


def folder(name: str) -> Member:
    return Member(name, b"", stat.S_IFDIR | 0o755)


def archive(members: Iterable[Member]) -> bytes:
    """An archive with exactly these members, in this order, duplicates included."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as written:
        for member in members:
            info = zipfile.ZipInfo(member.name)
            # ZipInfo tidies names; an attacker does not.
            info.filename = member.name
            info.external_attr = member.mode << 16
            info.compress_type = member.compression
            written.NameToInfo.pop(member.name, None)
            written.writestr(info, member.data)
    return buffer.getvalue()


def with_declared_size(data: bytes, size: int) -> bytes:
    """The same archive with another uncompressed size in all its headers."""
    patched = bytearray(data)
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = patched.find(signature)
        while at >= 0:
            patched[at + offset : at + offset + 4] = struct.pack("<I", size)
            at = patched.find(signature, at + 4)
    return bytes(patched)


def with_flag(data: bytes, flag: int) -> bytes:
    """The same archive with a general purpose flag set in all its headers."""
    patched = bytearray(data)
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = patched.find(signature)
        while at >= 0:
            patched[at + offset] |= flag
            at = patched.find(signature, at + 4)
    return bytes(patched)
