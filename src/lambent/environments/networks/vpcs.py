"""The VPCs that functions here are in: made when the first environment needs one, and kept as EC2 describes them.

A loop asks EC2 again every few seconds for the rules of the security groups in use, so a change acts on environments
that run. What EC2 has forgotten (it does at a restart) stays as it was last known. Published services are accepted here
and connected with where they are.
"""

import asyncio
import itertools
import logging
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import Protocol

from lambent.aws.errors import ApiError, PlatformFault
from lambent.core.clock import Clock
from lambent.environments.networks.dns import DnsRelay, NameServers
from lambent.environments.networks.services import Forwarder, VpcService
from lambent.environments.sandbox.channel import Channel
from lambent.environments.sandbox.ports import NetworkSpec, SandboxError
from lambent.functions.records import FunctionVersion
from lambent.functions.vpc import Rule, SecurityGroup, Subnet, Vpc
from lambent.launcher.client import LauncherClient, LauncherError

logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 3.0
_TIMEOUT_S = 15.0
_PRINCIPAL = "lambda.amazonaws.com"


class GroupSource(Protocol):
    """EC2, as far as it is asked while environments run."""

    async def groups(
        self, groups: Sequence[str], *, account: str, region: str, principal: str
    ) -> tuple[SecurityGroup, ...]:
        """As they are now. Raises ApiError."""
        ...


def why_none(launcher: LauncherClient | None) -> str | None:
    """Why functions of this server cannot be in VPCs, as their owners are told; None: they can."""
    reason = "it needs the native or the rootless sandbox" if launcher is None else launcher.vpcs_missing
    return reason and f"This server cannot put functions into a VPC: {reason}."


Owner = tuple[str, str]
"""Account and region."""


@dataclass(slots=True)
class _Known:
    """One VPC, as the launcher has it."""

    owner: Owner
    id: str
    subnets: dict[str, Subnet] = field(default_factory=dict)
    groups: dict[str, SecurityGroup] = field(default_factory=dict)
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)
    ruled: bool = False


class Vpcs:
    """`environments.ports.NetworkSource`. `launcher` None: there is none, and no VPC."""

    def __init__(
        self, launcher: LauncherClient | None, ec2: GroupSource, clock: Clock, services: Sequence[VpcService] = ()
    ) -> None:
        self._launcher = launcher
        self._ec2 = ec2
        self._clock = clock
        self._services = services
        self._known: dict[tuple[Owner, str], _Known] = {}
        self._turn = itertools.count()
        self._served: list[Forwarder | DnsRelay] = []

    async def network_of(self, version: FunctionVersion) -> NetworkSpec:
        """One of the subnets of the version, in turn. Raises PlatformFault where it cannot be had."""
        if version.vpc is None:
            return NetworkSpec(kind="internet")
        return await self.place_in(version.vpc, (version.account, version.region))

    async def place_in(self, vpc: Vpc, owner: Owner) -> NetworkSpec:
        known = await self._ready(owner, vpc)
        subnet = vpc.subnets[next(self._turn) % len(vpc.subnets)]
        return NetworkSpec(
            kind="vpc",
            owner="/".join(known.owner),
            vpc_id=known.id,
            subnet_cidr=subnet.cidr,
            security_groups=tuple(each.id for each in vpc.groups),
        )

    async def _ready(self, owner: Owner, vpc: Vpc) -> _Known:
        known = self._known.setdefault((owner, vpc.id), _Known(owner, vpc.id))
        async with known.changing:
            new_subnets = [each for each in vpc.subnets if known.subnets.get(each.id) != each]
            new_groups = [each for each in vpc.groups if each.id not in known.groups]
            if new_subnets or new_groups or not known.ruled:
                known.subnets |= {each.id: each for each in new_subnets}
                known.groups |= {each.id: each for each in new_groups}
                # What the version remembers may be older than what EC2 says now.
                known.groups |= await self._asked(known, [each.id for each in new_groups])
                await self._rule(known)
        return known

    async def run(self) -> None:
        """Look again at the security groups in use, for ever."""
        while True:
            await self._clock.sleep(_LOOK_EVERY_S)
            await self.look_again()

    async def look_again(self) -> None:
        for known in list(self._known.values()):
            async with known.changing:
                now = await self._asked(known, list(known.groups))
                if any(known.groups[name] != group for name, group in now.items()):
                    known.groups |= now
                    with suppress(PlatformFault):  # The launcher is gone, which is told elsewhere.
                        await self._rule(known)

    async def _asked(self, known: _Known, groups: Sequence[str]) -> dict[str, SecurityGroup]:
        """Those of `groups` that EC2 knows, as they are now."""
        account, region = known.owner
        found = {}
        for name in groups:
            with suppress(ApiError, PlatformFault):
                for each in await self._ec2.groups([name], account=account, region=region, principal=_PRINCIPAL):
                    found[each.id] = each
        return found

    async def _rule(self, known: _Known) -> None:
        """Tell the launcher, and serve what it has opened for us. Raises PlatformFault."""
        if self._launcher is None:
            raise PlatformFault("VPCs need the native or the rootless sandbox")
        try:
            channel = Channel(self._launcher.vpc(self._rules(known)))
            try:
                _, fds = await channel.ask(None, "ruled", _TIMEOUT_S)
            finally:
                await channel.end()
        except (SandboxError, LauncherError, TimeoutError, ValueError) as error:  # The last: too many rules to be sent.
            raise PlatformFault(f"the network of {known.id} cannot be made: {error}") from error
        known.ruled = True
        self._serve(fds)

    def _rules(self, known: _Known) -> Mapping[str, object]:
        groups = {
            group.id: {"ingress": list(map(_rule, group.ingress)), "egress": list(map(_rule, group.egress))}
            for group in known.groups.values()
        }
        services = [
            {"host": each.host, "port": each.port, "groups": []}
            for each in self._services
            if any(IPv4Address(each.host) in IPv4Network(subnet.cidr) for subnet in known.subnets.values())
        ]
        return {
            "vpc": f"{'/'.join(known.owner)}/{known.id}",
            "subnets": [{"cidr": each.cidr, "nat": each.nat} for each in known.subnets.values()],
            "groups": groups,
            "services": services,
        }

    def _serve(self, fds: Mapping[str, int]) -> None:
        opened = {name: socket.socket(fileno=fd) for name, fd in fds.items()}
        if "dns_udp" in opened:
            self._served.append(DnsRelay(opened.pop("dns_udp"), opened.pop("dns_tcp"), NameServers()))
        for each in self._services:
            if (listener := opened.pop(f"{each.host}:{each.port}", None)) is not None:
                self._served.append(Forwarder(listener, each))

    async def close(self) -> None:
        for each in self._served:
            await each.close()


def _rule(rule: Rule) -> dict[str, object]:
    return {"protocol": rule.protocol, "ports": rule.ports, "cidr": rule.cidr, "group": rule.group}
