"""The binary messages of `application/vnd.amazon.eventstream`: headers and a payload between two checksums.

Pure: messages to bytes, and bytes, however they were cut, to messages. Which messages an operation sends is the
gateway's. Layout: "Event stream encoding" of AWS's Smithy.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

CONTENT_TYPE: Final = "application/vnd.amazon.eventstream"
_PRELUDE: Final = struct.Struct("!II")
_NUMBER: Final = struct.Struct("!I")
_LENGTH: Final = struct.Struct("!H")
_STRING: Final = 7
_AROUND: Final = 16
"""Bytes of a message that are neither headers nor payload."""


class Message(NamedTuple):
    headers: Mapping[str, str]
    payload: bytes


class Corrupt(Exception):
    """The bytes are no event stream."""


def encode(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One message; all headers are text."""
    head = b"".join(_header(name.encode(), value.encode()) for name, value in headers.items())
    prelude = _PRELUDE.pack(len(head) + len(payload) + _AROUND, len(head))
    start = prelude + _NUMBER.pack(zlib.crc32(prelude)) + head
    return b"".join((start, payload, _NUMBER.pack(zlib.crc32(payload, zlib.crc32(start)))))


def _header(name: bytes, value: bytes) -> bytes:
    return bytes((len(name),)) + name + bytes((_STRING,)) + _LENGTH.pack(len(value)) + value


class Decoder:
    """Of one stream, whose messages have text headers alone."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that `data` completes. Raises Corrupt."""
        self._data += data
        while len(self._data) >= _AROUND:
            total, head = _PRELUDE.unpack_from(self._data)
            if head + _AROUND > total or _NUMBER.unpack_from(self._data, 8)[0] != zlib.crc32(self._data[:8]):
                raise Corrupt
            if len(self._data) < total:
                return
            message = bytes(self._data[:total])
            del self._data[:total]
            if _NUMBER.unpack_from(message, total - 4)[0] != zlib.crc32(message[:-4]):
                raise Corrupt
            yield Message(dict(_headers(message[12 : 12 + head])), message[12 + head : -4])


def _headers(data: bytes) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(data):
        name_end = at + 1 + data[at]
        name = data[at + 1 : name_end].decode()
        if data[name_end] != _STRING:
            raise Corrupt
        (size,) = _LENGTH.unpack_from(data, name_end + 1)
        at = name_end + 3 + size
        yield name, data[name_end + 3 : at].decode()
