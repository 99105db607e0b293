"""All networks of one launcher: the internet's router, those of VPCs, and which sandbox is plugged in where.

Asked by the supervisor, which is believed only as far as `net.request` checks. What cannot be had is a reason and
not an error: sandboxes without a network work.
"""

import os
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from lambent.launcher.net import firewall, host_nat, namespaces, pasta
from lambent.launcher.net import request as network_request
from lambent.launcher.net.namespaces import Home, NetworkUnavailable
from lambent.launcher.net.router import GATEWAY, UPSTREAM, Addresses, Port, Router
from lambent.launcher.net.vpc import Vpc
from lambent.launcher.request import BadRequest

NONE, HOST_NAT = "none", "host-nat"
SANDBOX_ADDRESSES = IPv4Network("169.254.0.0/18")
"""Of sandboxes in the internet's router. Link-local, as on AWS, so that they hide no address that anybody could mean;
seen nowhere else."""
_NEWS_BYTES = 65536
_DNS = (GATEWAY, firewall.DNS_PORT)


class Networks:
    """Made before the launcher leaves the host's files, opened after."""

    def __init__(self, egress: str, allowed: Sequence[str], pasta_id: int, mark: str) -> None:
        self._egress = egress
        self._allowed = [IPv4Network(each) for each in allowed]
        self._pasta_id = pasta_id
        self._mark = mark
        self._host: socket.socket | None = None
        """Until it is closed the host's network is changed for us."""
        self._home: Home | None = None
        self._internet: Router | None = None
        self._keeper: int | None = None
        self._asleep: pasta.Kept | None = None
        """Until somebody wants a way out."""
        self._addresses = Addresses(SANDBOX_ADDRESSES, reserved_below=2, reserved_above=1)
        self._plugged: dict[int, list[Port]] = {}
        self._fds: dict[str, int] = {}
        self._vpcs: dict[str, Vpc] = {}
        self.missing: str | None = None
        """Why there is no way to the internet."""
        try:
            self._home = Home()
        except OSError as error:
            self.missing = f"network namespaces cannot be worked on: {error}"

    @property
    def no_vpcs(self) -> str | None:
        """Why there are no VPCs; None: there are."""
        if self._home is None:
            return self.missing
        return "nft is missing (package nftables)" if namespaces.nft_program() is None else None

    def open(self) -> None:
        if self._home is None:
            return
        try:
            if self._egress == NONE:
                raise NetworkUnavailable("switched off (--egress none)")
            self._open_internet(self._home)
        except (NetworkUnavailable, OSError) as error:
            self._close_internet()
            self.missing = str(error)
        try:
            self._home.leave_host()
        except OSError as error:
            self._home, self.missing = None, f"network namespaces cannot be made: {error}"

    def _open_internet(self, home: Home) -> None:
        if namespaces.nft_program() is None:
            raise NetworkUnavailable("nft is missing (package nftables)")
        router = self._internet = self._way_by_host(home) if self._egress == HOST_NAT else self._way_by_pasta(home)
        host = map(IPv4Address, home.host_addresses())
        router.apply(firewall.internet(GATEWAY, self._allowed, host))
        with home.inside(router.namespace):
            self._fds["dns_tcp"] = namespaces.listener(_DNS).detach()
            self._fds["dns_udp"] = namespaces.datagrams(_DNS).detach()

    def _way_by_pasta(self, home: Home) -> Router:
        kept = pasta.start(self._pasta_id)
        self._keeper, self._asleep = kept.keeper, kept._replace(status=os.dup(kept.status))
        self._fds["egress"] = kept.status
        home.leave_host()
        return Router(kept.namespace, home, (UPSTREAM,))

    def _way_by_host(self, home: Home) -> Router:
        self._host = host_nat.change_host(home, self._mark)
        home.leave_host()
        router = Router(home.create(), home, (UPSTREAM,))
        host_nat.connect(home, router.namespace, self._mark)
        return router

    def want_egress(self) -> None:
        """Somebody is about to be connected with the internet."""
        if self._asleep is not None:
            self._asleep.want()
            os.close(self._asleep.status)
            self._asleep = None

    def handed_over(self) -> dict[str, int]:
        """Descriptors for the supervisor: where names are asked for, and how the way out is. Close them after."""
        fds, self._fds = self._fds, {}
        return fds

    @property
    def news(self) -> socket.socket | None:
        """Readable when addresses of the host have changed."""
        return self._home.news if self._home is not None and self._internet is not None else None

    def host_has_changed(self) -> None:
        if self._home is None or self._internet is None:
            return
        with suppress(BlockingIOError):
            while self._home.news.recv(_NEWS_BYTES, socket.MSG_DONTWAIT):
                pass
        host = map(IPv4Address, self._home.host_addresses())
        with suppress(NetworkUnavailable):  # It was accepted before; the next change tries again.
            self._internet.apply(firewall.host_addresses(self._allowed, host))

    def plug(self, sandbox: int, process: int, wanted: Any) -> dict[str, Any]:
        """Connect a sandbox; what it then has. One that was connected with the internet while it was made is taken out
        of there. Raises BadRequest, NetworkUnavailable, OSError."""
        place = network_request.port(wanted)
        ports = self._plugged.setdefault(sandbox, [])
        while ports:
            if self._internet is None or ports[-1].pool is not self._addresses:
                raise BadRequest("it is connected already")
            self._internet.unplug(ports[-1])
            ports.pop()
        if place == "none":
            return {}
        if place != "internet":
            port = self._vpc(place.vpc).plug(process, place)
        elif self._internet is not None:
            self.want_egress()
            port = self._internet.plug(process, self._addresses, firewall.SANDBOXES)
        else:
            raise NetworkUnavailable(self.missing or "there is no way out")
        ports.append(port)
        return {"address": str(port.address)}

    def _vpc(self, name: str) -> Vpc:
        try:
            return self._vpcs[name]
        except KeyError:
            raise NetworkUnavailable(f"{name} is not known") from None

    def rule(self, message: dict[str, Any]) -> dict[str, int]:
        """Make or change a VPC; descriptors of its new listeners. Raises BadRequest, NetworkUnavailable, OSError."""
        rules = network_request.rules(message)
        if self._home is None:
            raise NetworkUnavailable(self.missing or "networks cannot be made here")
        if self.no_vpcs is not None:
            raise NetworkUnavailable(self.no_vpcs)
        vpc = self._vpcs.get(rules.vpc)
        if vpc is None:
            if len(self._vpcs) == network_request.MOST_VPCS:
                raise NetworkUnavailable(f"more than {network_request.MOST_VPCS} VPCs")
            vpc = self._vpcs[rules.vpc] = Vpc(self._home)
        if any(each.nat for each in rules.subnets) and self._internet is not None:
            self.want_egress()
            vpc.connect(self._internet, self._addresses)
        return vpc.change(rules)

    def unplug(self, sandbox: int) -> None:
        """The sandbox has ended, and its interfaces with it."""
        for port in self._plugged.pop(sandbox, ()):
            port.release()

    def _close_internet(self) -> None:
        if self._internet is not None:
            self._internet.close()
            self._internet = None
        if self._keeper is not None:
            with suppress(ProcessLookupError):
                os.kill(self._keeper, signal.SIGKILL)
            self._keeper = None
        self.want_egress()
        if self._host is not None:
            self._host.close()
            self._host = None
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()

    def close(self) -> None:
        for vpc in self._vpcs.values():
            vpc.close()
        self._vpcs.clear()
        self._close_internet()
