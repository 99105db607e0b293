"""Routers: network namespaces of the platform that sandboxes are plugged into, each by a port of its own.

A port is a pair of interfaces with one address and one route, so there is no wire that two sandboxes share: what one
sends goes to the router alone, which drops what does not come from the port's address, and then asks its rules.
It makes no rules and no uplink.
"""

import os
import socket
from ipaddress import IPv4Address, IPv4Network
from typing import NamedTuple

from lambent.launcher.kernel import netlink
from lambent.launcher.net import namespaces
from lambent.launcher.net.namespaces import Home, NetworkUnavailable

GATEWAY = "169.254.64.1"
"""Of every port of every router; names are resolved there."""
UPSTREAM = "169.254.64.2"
"""Of the internet's router, for the routers of VPCs, whose own address is the other."""
_INSIDE, _INSIDE_INDEX = "eth0", 2
_FIRST_PORT_INDEX = 1000


class NoAddress(NetworkUnavailable):
    """All addresses of a network are taken."""


class Addresses:
    """The free addresses of a network. One that was given back is used again as late as possible: what was meant for
    its last owner must not reach the next."""

    def __init__(self, network: IPv4Network, *, reserved_below: int, reserved_above: int) -> None:
        self.network = network
        self._first = int(network.network_address) + reserved_below
        self._count = max(0, network.num_addresses - reserved_below - reserved_above)
        self._next = 0
        self._taken: set[int] = set()

    def reserve(self, address: IPv4Address) -> None:
        self._taken.add(int(address) - self._first)

    def take(self) -> IPv4Address | None:
        if len(self._taken) >= self._count:
            return None
        while self._next in self._taken:
            self._next = (self._next + 1) % self._count
        taken, self._next = self._next, (self._next + 1) % self._count
        self._taken.add(taken)
        return IPv4Address(self._first + taken)

    def give_back(self, address: IPv4Address) -> None:
        self._taken.discard(int(address) - self._first)


class Port(NamedTuple):
    """One plugged-in sandbox."""

    address: IPv4Address
    pool: Addresses
    number: int
    """Of its interface in the router."""

    def release(self) -> None:
        self.pool.give_back(self.address)


class Router:
    """One namespace, which lives as long as this object and the ports in it."""

    def __init__(self, namespace: int, home: Home, addresses: tuple[str, ...] = ()) -> None:
        self.namespace = namespace
        self._home = home
        self._netlink = namespaces.become_router(namespace, home, (GATEWAY, *addresses))
        self._next_index = _FIRST_PORT_INDEX

    def apply(self, rules: str) -> None:
        namespaces.apply(self.namespace, self._home, rules)

    def plug(self, process: int, pool: Addresses, group: int) -> Port:
        """Connect the network namespace that `process` lives in. `group` is what the rules know it by.

        0.5 ms. Raises NetworkUnavailable when there is no free address, OSError.
        """
        pidfd = os.pidfd_open(process)
        try:
            with self._home.inside(pidfd):
                theirs = netlink.open_socket()
        finally:
            os.close(pidfd)
        with theirs:
            return self.plug_into(theirs, pool, group)

    def plug_into(
        self,
        theirs: socket.socket,
        pool: Addresses,
        group: int,
        name: str = _INSIDE,
        index: int = _INSIDE_INDEX,
        gateway: str = GATEWAY,
    ) -> Port:
        """The same for the namespace of a netlink socket."""
        address = pool.take()
        if address is None:
            raise NoAddress(f"no address of {pool.network} is free")
        number, self._next_index = self._next_index, self._next_index + 1
        try:
            pair = netlink.veth(
                name, index, peer=f"port{number}", peer_index=number, peer_namespace=self.namespace, group=group
            )
            requests = (pair, netlink.up_without_ipv6(index), netlink.address(index, str(address)))
            netlink.transact(theirs, (*requests, netlink.route(index, gateway=gateway)))
            netlink.transact(self._netlink, (netlink.up(number), netlink.route(number, str(address), 32)))
        except OSError:
            pool.give_back(address)
            raise
        return Port(address, pool, number)

    def unplug(self, port: Port) -> None:
        """Disconnect a sandbox that goes on. Raises OSError."""
        self.request(netlink.delete_link(port.number))
        port.release()

    def request(self, message: bytes) -> None:
        """Have the kernel do it in there. Raises OSError."""
        netlink.transact(self._netlink, (message,))

    def close(self) -> None:
        self._netlink.close()
        os.close(self.namespace)
