"""Who is at the other end of a TCP connection on this machine's loopback.

For sandboxes that share it: their Runtime API has a port that any process may try, and admits the processes of one
user only. The kernel tells, by NETLINK_SOCK_DIAG (sock_diag(7)); reading needs no privileges.
"""

import errno
import socket
import struct

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST = 1
_NLMSG_ERROR = 2
_HEADER = struct.Struct("=IHHII")
_SOCKET_ID = struct.Struct("!HH16s16s")
_ANY_STATE = 0xFFFFFFFF
_NO_COOKIE = b"\xff" * 8
_UID_OFFSET = 16 + 4 + 48 + 4 + 4 + 4
"""Of idiag_uid: header, family to retransmits, socket id, expiry and the two queues."""
_TIMEOUT_S = 1.0


class OwnedListener(socket.socket):
    """A listener whose connections are for the processes of one user."""

    owner: int | None = None


def user_of(peer: tuple[str, int], local: tuple[str, int]) -> int | None:
    """The user whose socket is `peer`, connected to `local`; None when there is none any more."""
    identity = _SOCKET_ID.pack(peer[1], local[1], socket.inet_aton(peer[0]), socket.inet_aton(local[0]))
    body = struct.pack("=BBBxI", socket.AF_INET, socket.IPPROTO_TCP, 0, _ANY_STATE)
    body += identity + struct.pack("=I", 0) + _NO_COOKIE
    header = _HEADER.pack(_HEADER.size + len(body), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as netlink:
        netlink.settimeout(_TIMEOUT_S)
        netlink.send(header + body)
        answer = netlink.recv(4096)
    if _HEADER.unpack_from(answer)[1] == _NLMSG_ERROR:
        (code,) = struct.unpack_from("=i", answer, _HEADER.size)
        if -code == errno.ENOENT:
            return None
        raise OSError(-code, "sock_diag")
    return int(struct.unpack_from("=I", answer, _UID_OFFSET)[0])


def admits(listener: socket.socket, peer: tuple[str, int], local: tuple[str, int]) -> bool:
    if not isinstance(listener, OwnedListener) or listener.owner is None:
        return True
    return user_of(peer, local) == listener.owner
