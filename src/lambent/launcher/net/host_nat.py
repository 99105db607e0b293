"""The way out of the internet's router by the host itself: two interfaces, masquerading, forwarding. Only on demand.

The one place that changes the host's network. A process of its own makes the changes and undoes them at the end of the
launcher, also of one that was killed. What it would have undone is written down, for the next start where it is killed.
"""

import json
import os
import signal
import socket
from contextlib import suppress
from typing import NoReturn

from lambent.launcher import wire
from lambent.launcher.base_tree import IMAGES
from lambent.launcher.kernel import netlink, syscalls
from lambent.launcher.net import namespaces
from lambent.launcher.net.firewall import UPLINK
from lambent.launcher.net.namespaces import Home, NetworkUnavailable

_HOST_END, _ROUTER_END, _PREFIX = "169.254.65.1", "169.254.65.2", 30
_ROUTER_INDEX = 2
_LOWEST_INDEX = 1 << 20
"""The number of our interface on the host: far from those that it counts itself."""
_FORWARD = "ipv4/ip_forward"
_RECORD = f"{IMAGES}/host-nat"
_TIMEOUT_S = 10.0
_SOCKET_FD, _SETTINGS_FD = 3, 4


def change_host(home: Home, mark: str) -> socket.socket:
    """Start who changes the host's network until the socket returned is closed. To be called in that network.

    Raises NetworkUnavailable, OSError.
    """
    _sweep(home.settings)
    ours, theirs = wire.pair()
    if os.fork() == 0:
        # It may not keep sockets of the launcher open, whose ends are signs.
        os.dup2(theirs.detach(), _SOCKET_FD, inheritable=False)
        os.dup2(home.settings, _SETTINGS_FD, inheritable=False)
        syscalls.close_from(_SETTINGS_FD + 1)
        _Changes(mark).keep(socket.socket(fileno=_SOCKET_FD))
    theirs.close()
    ours.settimeout(_TIMEOUT_S)
    received = wire.receive(ours)
    if received is None or received[0]["event"] != "made":
        ours.close()
        raise NetworkUnavailable(received[0]["reason"] if received else "who changes the host's network ended at once")
    ours.settimeout(None)
    return ours


def connect(home: Home, namespace: int, mark: str) -> None:
    """Lead the router's namespace to the host. Raises OSError."""
    index = _LOWEST_INDEX + int(mark, 16) % _LOWEST_INDEX
    with home.inside(namespace):
        inside = netlink.open_socket()
    with inside:
        pair = netlink.veth(_interface(mark), index, peer=UPLINK, peer_index=_ROUTER_INDEX, peer_namespace=namespace)
        on_host = (pair, netlink.up_without_ipv6(index), netlink.address(index, _HOST_END, _PREFIX))
        netlink.transact(home.on_host, on_host)
        address = netlink.address(_ROUTER_INDEX, _ROUTER_END, _PREFIX)
        netlink.transact(inside, (netlink.up(_ROUTER_INDEX), address, netlink.route(_ROUTER_INDEX, gateway=_HOST_END)))


def _interface(mark: str) -> str:
    return f"lb-{mark}"


def _table(mark: str) -> str:
    return f"lambent-{mark}"


def rules(mark: str) -> str:
    """For the host's nftables: nothing of the router may reach the host itself."""
    name, table = _interface(mark), _table(mark)
    return f"""
table inet {table} {{ }}
delete table inet {table}
table inet {table} {{
  chain leaving {{
    type nat hook postrouting priority srcnat;
    ip saddr {_ROUTER_END} oifname != "{name}" masquerade
  }}
  chain incoming {{
    type filter hook input priority filter - 1;
    iifname "{name}" drop
  }}
  chain passing {{
    type filter hook forward priority filter - 1;
    iifname "{name}" tcp flags syn tcp option maxseg size set rt mtu
    oifname "{name}" ct state established,related accept
    oifname "{name}" drop
  }}
}}
"""


class _Changes:
    def __init__(self, mark: str) -> None:
        self._mark = mark

    def keep(self, launcher: socket.socket) -> NoReturn:
        try:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            os.setsid()
            try:
                self._make()
            except (NetworkUnavailable, OSError) as error:
                _sweep(_SETTINGS_FD)
                wire.send(launcher, {"event": "failed", "reason": str(error)})
                os._exit(1)
            wire.send(launcher, {"event": "made"})
            while wire.receive(launcher) is not None:
                pass
        except OSError:
            pass  # The launcher is gone.
        finally:
            with suppress(NetworkUnavailable, OSError):
                _sweep(_SETTINGS_FD)
            os._exit(0)

    def _make(self) -> None:
        before = namespaces.setting(_SETTINGS_FD, _FORWARD)
        text = json.dumps({"forward": before, "table": _table(self._mark)})
        file = os.open(_RECORD, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(file, text.encode())
            os.fsync(file)
        finally:
            os.close(file)
        namespaces.run_nft(rules(self._mark))
        namespaces.set_to(_SETTINGS_FD, _FORWARD, "1")


def _sweep(settings: int) -> None:
    """Undo what is written down. Raises NetworkUnavailable, OSError."""
    try:
        file = os.open(_RECORD, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        recorded = json.loads(os.read(file, 4096) or b"{}")
    finally:
        os.close(file)
    if recorded:
        table = recorded["table"]
        namespaces.run_nft(f"table inet {table} {{ }}\ndelete table inet {table}\n")
        namespaces.set_to(settings, _FORWARD, recorded["forward"])
    os.unlink(_RECORD)
