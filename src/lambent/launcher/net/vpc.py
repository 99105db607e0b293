"""A VPC: a router whose ports belong to subnets and security groups, with a way out only for subnets that have NAT."""

import socket
from ipaddress import IPv4Address, IPv4Network

from lambent.launcher.kernel import netlink
from lambent.launcher.net import firewall, namespaces, vpc_rules
from lambent.launcher.net.namespaces import Home, NetworkUnavailable
from lambent.launcher.net.request import Group, Rules, Service, VpcPort
from lambent.launcher.net.router import GATEWAY, UPSTREAM, Addresses, Port, Router
from lambent.launcher.net.vpc_rules import Members

_RESERVED_BELOW, _RESERVED_ABOVE = 4, 1
"""Of each subnet, as on AWS."""
_LOOPBACK, _UPLINK_INDEX = 1, 2
_FIRST_GROUP = 10
_NOTHING = Group((), ())


class Vpc:
    def __init__(self, home: Home) -> None:
        self._home = home
        self._router = Router(home.create(), home)
        self._rules: Rules | None = None
        self._pools: dict[str, Addresses] = {}
        self._members: list[Members] = []
        self._way_out: Port | None = None
        self._listening: set[tuple[str, int]] = set()

    def change(self, rules: Rules) -> dict[str, int]:
        """New rules, subnets and services; those that were there stay. Returns listeners of new services by
        `HOST:PORT`, and of names at first. Raises NetworkUnavailable, OSError."""
        for subnet in rules.subnets:
            if subnet.cidr not in self._pools:
                self._pools[subnet.cidr] = Addresses(
                    IPv4Network(subnet.cidr), reserved_below=_RESERVED_BELOW, reserved_above=_RESERVED_ABOVE
                )
        self._router.apply(vpc_rules.script(_known(rules, self._members), self._members, GATEWAY))
        first, self._rules = self._rules is None, rules
        fds = self._listen(rules.services)
        if first:
            with self._home.inside(self._router.namespace):
                fds["dns_tcp"] = namespaces.listener((GATEWAY, firewall.DNS_PORT)).detach()
                fds["dns_udp"] = namespaces.datagrams((GATEWAY, firewall.DNS_PORT)).detach()
        return fds

    def _listen(self, services: tuple[Service, ...]) -> dict[str, int]:
        fds = {}
        for each in services:
            if (each.host, each.port) in self._listening:
                continue
            self._router.request(netlink.address(_LOOPBACK, each.host))
            for cidr, pool in self._pools.items():
                if IPv4Address(each.host) in IPv4Network(cidr):
                    pool.reserve(IPv4Address(each.host))
            with self._home.inside(self._router.namespace):
                fds[f"{each.host}:{each.port}"] = namespaces.listener((each.host, each.port)).detach()
            self._listening.add((each.host, each.port))
        return fds

    def plug(self, process: int, place: VpcPort) -> Port:
        """Raises NetworkUnavailable, OSError."""
        pool = self._pools.get(place.subnet)
        if pool is None or self._rules is None or not set(place.groups) <= self._rules.groups.keys():
            raise NetworkUnavailable(f"the subnet {place.subnet} or a security group is not known")
        return self._router.plug(process, pool, self._group(place, self._rules))

    def _group(self, place: VpcPort, rules: Rules) -> int:
        """The device group of those in this subnet with these security groups; rules change when it is a new one."""
        for each in self._members:
            if (each.subnet, each.security_groups) == (place.subnet, place.groups):
                return each.group
        new = Members(_FIRST_GROUP + len(self._members), place.subnet, place.groups)
        members = [*self._members, new]
        self._router.apply(vpc_rules.script(_known(rules, members), members, GATEWAY))
        self._members = members
        return new.group

    def connect(self, internet: Router, addresses: Addresses) -> None:
        """Give the router a way out: a port of its own in the internet's router, which refuses what it always does."""
        if self._way_out is not None:
            return
        with self._home.inside(self._router.namespace):
            ours: socket.socket = netlink.open_socket()
        with ours:
            self._way_out = internet.plug_into(
                ours, addresses, firewall.ROUTERS, name=firewall.UPLINK, index=_UPLINK_INDEX, gateway=UPSTREAM
            )

    def close(self) -> None:
        self._router.close()


def _known(rules: Rules, members: list[Members]) -> Rules:
    """Ports whose group the supervisor has forgotten keep an empty one: nothing is allowed by it."""
    gone = {group for each in members for group in each.security_groups} - rules.groups.keys()
    return rules if not gone else rules._replace(groups=rules.groups | dict.fromkeys(gone, _NOTHING))
