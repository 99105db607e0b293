"""A process of the host in a network namespace of its own, with listeners where a cloud machine has its metadata."""

import fcntl
import os
import signal
import socket
import struct

from lambent.launcher.kernel import syscalls

ADDRESSES = (
    (socket.AF_INET, "169.254.169.254", 32),
    (socket.AF_INET, "192.0.2.1", 32),
    (socket.AF_INET6, "fd00:ec2::254", 128),
)
_SIOCSIFFLAGS, _UP_RUNNING, _LOOPBACK = 0x8914, 0x41, 1
_NEW_ADDRESS, _REQUEST_ACK_CREATE, _ADDRESS, _LOCAL, _NO_DUPLICATE_CHECK = 20, 0x405, 1, 2, 2


def add(family: int, address: str, length: int) -> None:
    packed = socket.inet_pton(family, address)
    body = struct.pack("=BBBBI", family, length, _NO_DUPLICATE_CHECK, 0, _LOOPBACK)
    body += b"".join(struct.pack("=HH", 4 + len(packed), kind) + packed for kind in (_LOCAL, _ADDRESS))
    header = struct.pack("=IHHII", 16 + len(body), _NEW_ADDRESS, _REQUEST_ACK_CREATE, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:
        netlink.send(header + body)
        kind, code = struct.unpack_from("=4xH10xi", netlink.recv(4096))
    assert kind != 2 or code == 0, f"address {address}: error {code}"


def main() -> None:
    syscalls.unshare(syscalls.CLONE_NEWNET | (syscalls.CLONE_NEWUSER if os.geteuid() != 0 else 0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("=16sH22x", b"lo", _UP_RUNNING))
    listeners = []
    for family, address, length in ADDRESSES:
        add(family, address, length)
        listeners.append(socket.create_server((address, 80), family=family))
    print("ready", flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
