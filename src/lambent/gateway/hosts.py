"""Who may reach the server by which name: a web page or another user must not drive it.

Only known host names are served, which stops DNS rebinding; a request with a foreign Origin comes from a web page
and is refused, and so is one that the browser marks as sent for another site. Binding to anything but loopback is
refused until credentials are really checked.
"""

import ipaddress
import re
from collections.abc import Sequence
from typing import Final

from lambent.aws.errors import ApiError

_HOST: Final = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([\w.-]+))(?::[0-9]{0,5})?", re.ASCII)


NO_SCRIPT_OF_OURS: Final = ("Content-Security-Policy", "sandbox allow-scripts allow-forms allow-popups allow-downloads")
"""For content that somebody else wrote under the server's own origin: as a page it gets an origin of its own, which
is a foreign one here. Without, a page of a function or a bucket could call the API as the user who looks at it."""
_OTHER_SITES: Final = ("cross-site", "same-site")
"""Every port and every name of localhost is one site."""


class UnsafeBind(ValueError):
    """The address cannot be listened on; the message is for the user."""


def is_loopback(host: str) -> bool:
    """True for names and addresses that can only mean this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_bind(host: str) -> None:
    """Raises `UnsafeBind` unless `host` is a loopback name or address."""
    if not is_loopback(host):
        raise UnsafeBind(
            f"refusing to listen on {host}: anyone who can reach that address could run code here, because requests "
            "are not authenticated yet. Use --host 127.0.0.1, and an SSH tunnel or a reverse proxy that authenticates."
        )


def is_foreign(host: str | None, origin: str | None, fetch_site: str | None) -> bool:
    """Whether a page of another site sends a request."""
    if fetch_site in _OTHER_SITES:
        return True
    return origin is not None and origin.lower() not in (f"http://{host}".lower(), f"https://{host}".lower())


class HostRule:
    """Decides on the `Host` and `Origin` of a request."""

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        """`allowed`: further host names; `*.example.test` allows all names below."""
        self._exact = frozenset(name.lower() for name in allowed if not name.startswith("*."))
        self._suffixes = tuple(name[1:].lower() for name in allowed if name.startswith("*."))
        self._known: set[str] = set()

    def serves(self, host: str | None) -> bool:
        """`host` is the header, with its port."""
        return host is not None and (host in self._known or self._admit(host))

    def check(self, host: str | None, origin: str | None, fetch_site: str | None = None) -> None:
        """Raises `ApiError` AccessDeniedException 403. `host` is the header, with its port.

        `fetch_site` is the header Sec-Fetch-Site: an image or a link of a page sends a GET without an Origin.
        """
        if not self.serves(host):
            raise ApiError(
                "AccessDeniedException",
                f"The host {(host or '')[:200]!r} is not served here. Start with --allowed-host to serve it.",
                status=403,
            )
        if is_foreign(host, origin, fetch_site):
            raise ApiError("AccessDeniedException", "Requests from web pages are refused.", status=403)

    def _admit(self, host: str) -> bool:
        name = _without_port(host).lower()
        served = is_loopback(name) or name in self._exact or (bool(self._suffixes) and name.endswith(self._suffixes))
        # A wildcard has endless names: the set of known ones is a cache with a bound.
        if served and len(self._known) < 1024:
            self._known.add(host)
        return served


def _without_port(host: str) -> str:
    """Empty for what is no host with an optional port."""
    parts = _HOST.fullmatch(host)
    return "" if parts is None else parts[1] or parts[2]
