"""Interfaces, addresses and routes by raw rtnetlink: the handful of requests that networks of sandboxes need.

Builds messages and sends several in one call, which costs a tenth of a program such as `ip`. It decides nothing.
Source: Linux rtnetlink(7), linux/if_link.h.
"""

import errno
import fcntl
import os
import socket
import struct
from collections.abc import Sequence

_NEWLINK, _DELLINK, _NEWADDR, _NEWROUTE, _GETADDR = 16, 17, 20, 24, 22
_REQUEST, _ACK, _DUMP, _REPLACE, _EXCL, _CREATE = 0x1, 0x4, 0x300, 0x100, 0x200, 0x400
_ERROR, _DONE = 2, 3
_RECEIVE_BYTES = 1 << 16
_TIMEOUT = struct.pack("ll", 2, 0)

_SIOCGSKNS = 0x894C
_IFF_UP = 1
_IFLA_IFNAME, _IFLA_MTU, _IFLA_LINKINFO, _IFLA_AF_SPEC, _IFLA_GROUP, _IFLA_NET_NS_FD = 3, 4, 18, 26, 27, 28
_IFLA_NUM_TX_QUEUES, _IFLA_NUM_RX_QUEUES = 31, 32
_IFLA_INFO_KIND, _IFLA_INFO_DATA, _VETH_INFO_PEER = 1, 2, 1
_INET6_ADDR_GEN_MODE, _ADDR_GEN_NONE = 8, 1
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_DST, _RTA_OIF, _RTA_GATEWAY = 1, 4, 5
_TABLE_MAIN, _PROTOCOL_STATIC, _SCOPE_UNIVERSE, _SCOPE_LINK, _UNICAST = 254, 4, 0, 253, 1
_ONLINK = 4

IPV4_ADDRESSES = 0x10
"""Multicast group that tells of changed addresses."""


def open_socket(groups: int = 0) -> socket.socket:
    """To the present network namespace, and to it for good, wherever this process goes."""
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIMEOUT)
    if groups:
        sock.bind((0, groups))
    return sock


def namespace_of(sock: socket.socket) -> int:
    """A descriptor of the network namespace of a socket, close-on-exec. Needs no /proc."""
    return fcntl.ioctl(sock, _SIOCGSKNS)


def transact(sock: socket.socket, messages: Sequence[bytes]) -> None:
    """Have the kernel do all of `messages`, in this order. Raises OSError for the first that it refused."""
    count = len(messages)
    # Refusals are always answered; one acknowledgement, of the last, says that all were looked at.
    parts = [
        _numbered(message, number, _ACK if number == count else 0) for number, message in enumerate(messages, start=1)
    ]
    sock.send(b"".join(parts))
    refused: OSError | None = None
    while True:
        answer = sock.recv(_RECEIVE_BYTES)
        kind, _, number, _, code = struct.unpack_from("=4xHHIIi", answer)
        if kind != _ERROR:
            continue
        if code and refused is None:
            refused = OSError(-code, f"netlink request {number} of {count}: {os.strerror(-code)}")
        if number == count:
            break
    if refused is not None:
        raise refused


def _numbered(message: bytes, number: int, flags: int) -> bytes:
    length, kind, own = struct.unpack_from("=IHH", message)
    return struct.pack("=IHHII", length, kind, own | flags, number, 0) + message[16:]


def _message(kind: int, flags: int, body: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, _REQUEST | flags, 0, 0) + body


def _attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def _number(kind: int, value: int) -> bytes:
    return _attribute(kind, struct.pack("=I", value))


def _name(kind: int, name: str) -> bytes:
    return _attribute(kind, name.encode() + b"\0")


def _interface(index: int = 0, *, up: bool = False) -> bytes:
    return struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, _IFF_UP if up else 0, _IFF_UP if up else 0)


def veth(
    name: str, index: int, *, peer: str, peer_index: int, peer_namespace: int, group: int = 0, mtu: int = 1500
) -> bytes:
    """A pair of interfaces: `name` here, `peer` in the namespace of the descriptor, in the device group `group`."""
    common = _number(_IFLA_NUM_TX_QUEUES, 1) + _number(_IFLA_NUM_RX_QUEUES, 1) + _number(_IFLA_MTU, mtu)
    other = _interface(peer_index) + _name(_IFLA_IFNAME, peer) + common
    other += _number(_IFLA_NET_NS_FD, peer_namespace) + _number(_IFLA_GROUP, group)
    info = _name(_IFLA_INFO_KIND, "veth")
    info += _attribute(_IFLA_INFO_DATA, _attribute(_VETH_INFO_PEER, other))
    body = _interface(index) + _name(_IFLA_IFNAME, name) + common + _attribute(_IFLA_LINKINFO, info)
    return _message(_NEWLINK, _CREATE | _EXCL, body)


def dummy(name: str, index: int) -> bytes:
    """An interface that only holds addresses."""
    info = _attribute(_IFLA_LINKINFO, _name(_IFLA_INFO_KIND, "dummy"))
    return _message(_NEWLINK, _CREATE | _EXCL, _interface(index, up=True) + _name(_IFLA_IFNAME, name) + info)


def up(index: int) -> bytes:
    return _message(_NEWLINK, 0, _interface(index, up=True))


def up_without_ipv6(index: int) -> bytes:
    """Up, and no address of IPv6 is made up for it."""
    mode = _attribute(socket.AF_INET6, _attribute(_INET6_ADDR_GEN_MODE, bytes([_ADDR_GEN_NONE])))
    return _message(_NEWLINK, 0, _interface(index, up=True) + _attribute(_IFLA_AF_SPEC, mode))


def delete_link(index: int) -> bytes:
    return _message(_DELLINK, 0, _interface(index))


def address(index: int, address: str, prefix: int = 32) -> bytes:
    packed = socket.inet_aton(address)
    body = struct.pack("=BBBBI", socket.AF_INET, prefix, 0, 0, index)
    body += _attribute(_IFA_LOCAL, packed) + _attribute(_IFA_ADDRESS, packed)
    return _message(_NEWADDR, _CREATE | _REPLACE, body)


def route(index: int, destination: str | None = None, prefix: int = 0, *, gateway: str | None = None) -> bytes:
    """To `destination` (None: everywhere) by an interface, through `gateway`, which is on that interface."""
    scope = _SCOPE_LINK if gateway is None else _SCOPE_UNIVERSE
    flags = 0 if gateway is None else _ONLINK
    body = struct.pack(
        "=BBBBBBBBI", socket.AF_INET, prefix, 0, 0, _TABLE_MAIN, _PROTOCOL_STATIC, scope, _UNICAST, flags
    )
    if destination is not None:
        body += _attribute(_RTA_DST, socket.inet_aton(destination))
    if gateway is not None:
        body += _attribute(_RTA_GATEWAY, socket.inet_aton(gateway))
    body += _number(_RTA_OIF, index)
    return _message(_NEWROUTE, _CREATE | _REPLACE, body)


def addresses(sock: socket.socket) -> list[str]:
    """All IPv4 addresses of the namespace."""
    sock.send(_message(_GETADDR, _DUMP, struct.pack("=BBBBI", socket.AF_INET, 0, 0, 0, 0)))
    found: list[str] = []
    while True:
        answer = sock.recv(_RECEIVE_BYTES)
        at = 0
        while at < len(answer):
            length, kind = struct.unpack_from("=IH", answer, at)
            if kind == _DONE:
                return found
            if kind == _ERROR:
                code = -struct.unpack_from("=i", answer, at + 16)[0]
                raise OSError(code or errno.EIO, "the addresses of the host")
            if kind == _NEWADDR and (packed := _find(answer[at + 24 : at + length], _IFA_LOCAL)):
                found.append(socket.inet_ntoa(packed))
            at += (length + 3) & ~3


def _find(attributes: bytes, wanted: int) -> bytes | None:
    at = 0
    while at + 4 <= len(attributes):
        length, kind = struct.unpack_from("=HH", attributes, at)
        if kind == wanted:
            return attributes[at + 4 : at + length]
        at += (max(length, 4) + 3) & ~3
    return None
