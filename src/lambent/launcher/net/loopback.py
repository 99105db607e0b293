"""The network of a sandbox: loopback with two addresses, and the supervisor's listeners on it. No route leads out."""

import errno
import fcntl
import os
import socket
import struct

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
