"""Network namespaces of routers, worked on from the launcher: it steps into one, and always back out.

Needs one thread. What is opened inside (sockets, descriptors) stays bound to that namespace.
"""

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from lambent.launcher.kernel import netlink, syscalls

_NFT = ("/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft")
_LOOPBACK = 1
_BACKLOG = 128
_NULL = ((os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),)

_SETTINGS = {
    "ipv4/ip_forward": "1",
    # Ports inherit these from `default` when they are made. 1: an answer to the source must leave where it came in, so
    # that each port can only speak for its own address.
    "ipv4/conf/all/rp_filter": "1",
    "ipv4/conf/default/rp_filter": "1",
    "ipv4/conf/all/accept_redirects": "0",
    "ipv4/conf/default/accept_redirects": "0",
    "ipv4/conf/all/send_redirects": "0",
    "ipv4/conf/default/send_redirects": "0",
    # A refusal that is not sent is a time-out.
    "ipv4/icmp_ratelimit": "0",
    "ipv6/conf/all/disable_ipv6": "1",
    "ipv6/conf/default/disable_ipv6": "1",
}
_ONLY_WITH_IPV6 = "ipv6/"


class NetworkUnavailable(Exception):
    """This machine cannot give such a network. The message says why."""


class Home:
    """Where the launcher is when it is in no router: a namespace of its own, since without root there would be no way
    back to the host's. What it still needs of the host is opened before it leaves.
    """

    def __init__(self) -> None:
        """To be called in the host's network, while /proc is there."""
        self.settings = os.open("/proc/sys", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        """Shows the namespace of whoever looks."""
        self.news = netlink.open_socket(netlink.IPV4_ADDRESSES)
        """Readable when addresses of the host have changed."""
        self.on_host = netlink.open_socket()
        """To the host's network."""
        self._namespace = -1

    def leave_host(self) -> None:
        if self._namespace != -1:
            return
        syscalls.unshare(syscalls.CLONE_NEWNET)
        with netlink.open_socket() as made:
            self._namespace = netlink.namespace_of(made)

    def host_addresses(self) -> list[str]:
        return netlink.addresses(self.on_host)

    @contextmanager
    def inside(self, namespace: int) -> Iterator[None]:
        """`namespace` is its descriptor, or a pidfd of a process in it."""
        syscalls.setns(namespace, syscalls.CLONE_NEWNET)
        try:
            yield
        finally:
            syscalls.setns(self._namespace, syscalls.CLONE_NEWNET)

    def create(self) -> int:
        """A new namespace; its descriptor."""
        syscalls.unshare(syscalls.CLONE_NEWNET)
        try:
            with netlink.open_socket() as made:
                return netlink.namespace_of(made)
        finally:
            syscalls.setns(self._namespace, syscalls.CLONE_NEWNET)


def nft_program() -> str | None:
    return next((path for path in _NFT if os.access(path, os.X_OK)), None)


def become_router(namespace: int, home: Home, addresses: Sequence[str]) -> socket.socket:
    """Loopback up with `addresses`, forwarding on, IPv6 off. Returns a netlink socket for what comes later."""
    with home.inside(namespace):
        for name, value in _SETTINGS.items():
            set_to(home.settings, name, value)
        sock = netlink.open_socket()
    try:
        requests = [netlink.up(_LOOPBACK), *(netlink.address(_LOOPBACK, each) for each in addresses)]
        netlink.transact(sock, requests)
    except OSError:
        sock.close()
        raise
    return sock


def setting(settings: int, name: str) -> str:
    """Of the present network namespace."""
    file = os.open(f"net/{name}", os.O_RDONLY | os.O_CLOEXEC, dir_fd=settings)
    try:
        return os.read(file, 64).decode().strip()
    finally:
        os.close(file)


def set_to(settings: int, name: str, value: str) -> None:
    try:
        file = os.open(f"net/{name}", os.O_WRONLY | os.O_CLOEXEC, dir_fd=settings)
    except FileNotFoundError:
        if name.startswith(_ONLY_WITH_IPV6):
            return
        raise
    try:
        os.write(file, value.encode())
    finally:
        os.close(file)


def apply(namespace: int, home: Home, rules: str) -> None:
    """Give `rules` to nft there. Raises NetworkUnavailable with what nft said."""
    with home.inside(namespace):
        run_nft(rules)


def run_nft(rules: str) -> None:
    """In the present namespace, as one transaction: 5-7 ms. Raises NetworkUnavailable with what nft said."""
    program = nft_program()
    if program is None:
        raise NetworkUnavailable("nft is missing (package nftables)")
    script, said = os.memfd_create("rules"), os.memfd_create("errors")
    try:
        os.write(script, rules.encode())
        os.lseek(script, 0, os.SEEK_SET)
        actions = (*_NULL, (os.POSIX_SPAWN_DUP2, script, 0), (os.POSIX_SPAWN_DUP2, said, 2))
        pid = os.posix_spawn(program, [program, "-f", "-"], {}, file_actions=actions)
        _, status = os.waitpid(pid, 0)
        if status != 0:
            reason = os.pread(said, 500, 0).decode(errors="replace").strip()
            raise NetworkUnavailable(f"nft refused the rules: {reason or os.waitstatus_to_exitcode(status)}")
    finally:
        os.close(script)
        os.close(said)


def listener(address: tuple[str, int]) -> socket.socket:
    """In the present namespace."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(address)
        sock.listen(_BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def datagrams(address: tuple[str, int]) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    sock.bind(address)
    return sock
