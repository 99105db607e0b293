"""Sockets of every kind, the host's services, and descriptors of others."""

import fcntl
import os
import socket
import struct

from attempts.raw import Masked  # type: ignore[import-not-found]

_IP_TRANSPARENT = 19
_SIOCSIFFLAGS, _SIOCSIFMTU = 0x8914, 0x8922
_NEW_ADDRESS = 20
_IPTABLES_INFO = 64
_RUNTIME_API = (("127.0.0.1", 9001), ("169.254.100.1", 9001))


def tcp(host: str, port: str) -> None:
    socket.create_connection((host, int(port)), 2).close()


def unix(name: str) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("\0" + name[1:] if name.startswith("@") else name)


def socket_of(family: str, kind: str, protocol: str) -> None:
    socket.socket(int(family), int(kind), int(protocol)).close()


def change_interface() -> None:
    """To the size that it has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        now = fcntl.ioctl(any_socket, 0x8921, struct.pack("=16sI20x", b"lo", 0))
        fcntl.ioctl(any_socket, _SIOCSIFMTU, now)


def add_address() -> None:
    """One that loopback has: refused as existing only to who may add one."""
    body = struct.pack("=BBBBI", socket.AF_INET, 8, 0, 254, 1)
    body += struct.pack("=HH4s", 8, 2, bytes([127, 0, 0, 1])) + struct.pack("=HH4s", 8, 1, bytes([127, 0, 0, 1]))
    header = struct.pack("=IHHII", 16 + len(body), _NEW_ADDRESS, 0x1 | 0x4 | 0x400 | 0x200, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:
        netlink.send(header + body)
        kind, code = struct.unpack_from("=4xH10xi", netlink.recv(4096))
    if kind == 2 and -code not in (0, 17):
        raise OSError(-code, "add an address")


def transparent() -> None:
    with socket.socket(socket.AF_INET) as any_socket:
        any_socket.setsockopt(socket.SOL_IP, _IP_TRANSPARENT, 1)


def firewall() -> None:
    with socket.socket(socket.AF_INET) as any_socket:
        try:
            any_socket.getsockopt(socket.SOL_IP, _IPTABLES_INFO, 84)
        except FileNotFoundError:
            pass  # There is no table without a name, which is told only to who may ask.


def force_buffer() -> None:
    """A receive buffer beyond the system's limit."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        any_socket.setsockopt(socket.SOL_SOCKET, 33, 1 << 20)  # SO_RCVBUFFORCE


def _strange_descriptors() -> list[int]:
    """Open ones that are neither a file of the function or its runtime, its output, nor a connection to its API."""
    found = []
    for number in range(3, 1024):
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue
        if target.startswith("/var/") or target in (os.readlink(f"/proc/self/fd/{own}") for own in range(3)):
            continue
        if not (target.startswith("socket:") and _peer(number) in _RUNTIME_API):
            found.append(number)
    return found


def _peer(number: int) -> object:
    with socket.socket(fileno=os.dup(number)) as held:
        try:
            return held.getpeername()
        except OSError:
            return None


_AT_START = _strange_descriptors()


def inherited() -> None:
    """A descriptor that somebody left open."""
    if not _AT_START:
        raise Masked
