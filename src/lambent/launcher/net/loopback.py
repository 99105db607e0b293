"""The network of a sandbox: loopback with two addresses, and the supervisor's listeners on it. No route leads out.

Beside them, where the kernel has what makes it safe, one that is no network: a line for a runtime of ours, which speaks
the same Runtime API on it as on loopback, for less than half of what TCP costs.
"""

import errno
import fcntl
import os
import socket
import struct

from lambent.launcher.wire import LINE

RUNTIME_API = (("169.254.100.1", 9001), ("127.0.0.1", 9001))
AWS_ENDPOINT = (("127.0.0.1", 4566),)

_BACKLOG = 128
_SIOCSIFFLAGS = 0x8914
_IFF_UP_RUNNING = 0x41
_LOOPBACK_INDEX = 1
_RTM_NEWADDR = 20
_REQUEST_ACK_CREATE = 0x1 | 0x4 | 0x400
_NLMSG_ERROR = 2
_IFA_LOCAL = 2
_SO_PASSRIGHTS = 83


def bring_up() -> None:
    """Loopback of the present network namespace up, with 127.0.0.1/8 and the link-local address of AWS's new fleet."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("=16sH22x", b"lo", _IFF_UP_RUNNING))
    _add_address(RUNTIME_API[0][0])


def _add_address(address: str) -> None:
    """By netlink, because the ioctl would give the address a /16 and with it a route to the metadata service's."""
    body = struct.pack("=BBBBI", socket.AF_INET, 32, 0, 0, _LOOPBACK_INDEX)
    body += struct.pack("=HH4s", 8, _IFA_LOCAL, socket.inet_aton(address))
    header = struct.pack("=IHHII", 16 + len(body), _RTM_NEWADDR, _REQUEST_ACK_CREATE, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:
        netlink.send(header + body)
        answer = netlink.recv(4096)
    kind, code = struct.unpack_from("=4xH10xi", answer)
    if kind == _NLMSG_ERROR and code != 0:
        raise OSError(-code, f"address {address}: {os.strerror(-code)}")


def runtime_api() -> list[socket.socket]:
    """The listeners of the Runtime API, of which the last may be the line."""
    line = _listen_line()
    return [*(listen(address) for address in RUNTIME_API), *([] if line is None else [line])]


def _listen_line() -> socket.socket | None:
    """None before Linux 6.16, where the function could send descriptors along it: each would be closed by the
    supervisor, which the end of a socket that lingers, or of a file of a file system in user space, makes wait."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        # Of the connections too, from before they are accepted.
        listener.setsockopt(socket.SOL_SOCKET, _SO_PASSRIGHTS, 0)
    except OSError:
        listener.close()
        return None
    listener.bind(f"\0{LINE}")
    listener.listen(_BACKLOG)
    return listener


def listen(address: tuple[str, int]) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(address)
    listener.listen(_BACKLOG)
    return listener


def connect(port: int) -> tuple[int, int | None]:
    """Begin a connection to loopback: an errno, and a descriptor unless it has failed already."""
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    code = connection.connect_ex(("127.0.0.1", port))
    if code in (0, errno.EINPROGRESS):
        return code, connection.detach()
    connection.close()
    return code, None
