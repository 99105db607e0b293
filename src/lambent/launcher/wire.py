"""Messages between supervisor, launcher and the first process of a sandbox.

One JSON object per packet of a SOCK_SEQPACKET socket pair, with file descriptors beside it. `fds` of a message names
them in order.
"""

import json
import os
import socket
import struct
from typing import Any

MAX_BYTES = 200_000
MAX_FDS = 16
START_FD = 4
"""Of an interpreter that waits, or of a template: where it hears from outside."""
LINE = "lambent-runtime-api"
"""Of the Runtime API's listener that is no network: an abstract name, of the network namespace as addresses are."""
EGRESS_STARTING = "pasta is starting"
EGRESS_WAITS = "pasta starts when a sandbox wants it"
"""Why there is no internet yet; any other reason stays."""
NO_ADDRESS = "NoAddress"
"""Kind of a refusal: the subnet is full."""
_FD_BYTES = 4
_CREDENTIALS = struct.Struct("=3i")

Message = dict[str, Any]

_as_json = json.JSONEncoder(separators=(",", ":")).encode

_room = bytearray(MAX_BYTES)
"""For all messages, one at a time: to map and unmap as much for each takes longer than to read it."""


class DescriptorsLost(Exception):
    """The receiver had no room for the descriptors of a message."""


def pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(to: socket.socket, message: Message, fds: dict[str, int] | None = None) -> None:
    """`fds` by name; a name that ends in a number, as in `runtime_api.0`, is one of several."""
    if fds:
        message = {**message, "fds": list(fds)}
    data = _as_json(message).encode()
    if len(data) > MAX_BYTES:
        raise ValueError(f"a message of {len(data)} bytes is over the limit of {MAX_BYTES}")
    socket.send_fds(to, [data], list(fds.values()) if fds else [])


def receive(source: socket.socket) -> tuple[Message, dict[str, int]] | None:
    """The next message and its file descriptors (close-on-exec, owned by the caller); None at the end.

    Raises ValueError for what is no message, DescriptorsLost; nothing stays open then.
    """
    received = _receive(source)
    return received[:2] if received is not None else None


def receive_from(source: socket.socket) -> tuple[Message, dict[str, int], int] | None:
    """The same with the pid of the sender, from the kernel. `source` must have had SO_PASSCRED when it was sent."""
    return _receive(source)


def _receive(source: socket.socket) -> tuple[Message, dict[str, int], int] | None:
    # Not socket.recv_fds, which until 3.13 forgets its flags: the descriptors would be inherited by every child.
    room = socket.CMSG_SPACE(MAX_FDS * _FD_BYTES) + socket.CMSG_SPACE(_CREDENTIALS.size)
    length, ancillary, flags, _ = source.recvmsg_into([_room], room, socket.MSG_CMSG_CLOEXEC)
    fds: list[int] = []
    sender = 0
    for _, kind, held in ancillary:
        if kind == socket.SCM_CREDENTIALS:
            sender = _CREDENTIALS.unpack_from(held)[0]
        elif kind == socket.SCM_RIGHTS:
            fds += memoryview(held[: len(held) // _FD_BYTES * _FD_BYTES]).cast("i")
    if flags & socket.MSG_CTRUNC:
        for fd in fds:
            os.close(fd)
        raise DescriptorsLost("this process has too many open files")
    if not length:
        return None
    try:
        message = json.loads(_room[:length])
        named = dict(zip(message.get("fds", ()), fds, strict=True))
        if len(named) != len(fds):
            raise ValueError("one name for two descriptors")
        return message, named, sender
    except (ValueError, AttributeError, TypeError, RecursionError):
        for fd in fds:
            os.close(fd)
        raise ValueError("a packet that is no message") from None
