"""Requests and replies on the socket between the server and moto's process: a head of JSON and a body of bytes.

Both ends are ours and of one version, so nothing here is negotiated. The child needs this module before moto, the
server needs it without moto.
"""

import socket
import struct
from collections.abc import Mapping
from typing import Any, Final

import orjson

Head = Mapping[str, Any]

SIZES: Final = struct.Struct(">IQ")
"""Bytes of the head, bytes of the body."""


def opening(head: Head, body_bytes: int) -> bytes:
    """What goes before the body."""
    text = orjson.dumps(head)
    return SIZES.pack(len(text), body_bytes) + text


def receive(channel: socket.socket) -> tuple[dict[str, Any], bytes] | None:
    """The next frame on a blocking socket; None at its end."""
    sizes = _exactly(channel, SIZES.size)
    if sizes is None:
        return None
    head_bytes, body_bytes = SIZES.unpack(sizes)
    head = _exactly(channel, head_bytes)
    body = _exactly(channel, body_bytes)
    return None if head is None or body is None else (orjson.loads(head), bytes(body))


def _exactly(channel: socket.socket, size: int) -> bytearray | None:
    content = bytearray(size)
    view = memoryview(content)
    while view:
        count = channel.recv_into(view)
        if count == 0:
            return None
        view = view[count:]
    return content
