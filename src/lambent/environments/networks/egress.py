"""How functions reach the internet on this server: whether they do, why not, and the names that they look up for it.

The launcher has made the router; this side serves its name look-ups, and reads how its way out is.
"""

import os
import socket
from collections.abc import Callable, Mapping
from typing import Self

from lambent.environments.networks.dns import DnsRelay, NameServers
from lambent.launcher.client import LauncherClient


class Egress:
    """`problem` says why functions do not reach it now; `fds` are those of the launcher's ready message, taken over."""

    def __init__(self, problem: Callable[[], str | None], fds: Mapping[str, int]) -> None:
        self._problem = problem
        self._status = fds.get("egress")
        self._dns = None
        if "dns_udp" in fds:
            udp, tcp = socket.socket(fileno=fds["dns_udp"]), socket.socket(fileno=fds["dns_tcp"])
            self._dns = DnsRelay(udp, tcp, NameServers())

    @classmethod
    def of(cls, launcher: LauncherClient | None) -> Self:
        """None: the process sandbox, which has the network of the host."""
        return cls(lambda: None, {}) if launcher is None else cls(launcher.egress_problem, launcher.network_fds)

    @property
    def missing(self) -> str | None:
        """Why functions do not reach the internet now; None: they do."""
        return self._problem()

    def as_json(self) -> dict[str, object]:
        missing = self.missing
        return {"internet": missing is None, "missing": missing}

    async def close(self) -> None:
        if self._dns is not None:
            await self._dns.close()
        if self._status is not None:
            os.close(self._status)
            self._status = None
