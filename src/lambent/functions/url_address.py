"""The address of a function URL, as a client of this server reaches it, and back from an address to its id.

AWS's is `https://{id}.lambda-url.{region}.on.aws/`. Here the host is a name below the one by which the client reached
the API: browsers and curl resolve every name below localhost to this machine. `PATH` is for clients that cannot.
"""

import re
from typing import Final, NamedTuple
from urllib.parse import urlsplit

PATH: Final = "/_lambda-url/"
"""Before the id, in the form without a host name of its own. No S3 bucket can be called so."""
_HOST: Final = re.compile(r"(?P<id>[a-z0-9-]{1,63})\.lambda-url\.(?P<region>[a-z0-9-]{1,32})\.(?P<below>.+)", re.DOTALL)
_LOOPBACK: Final = re.compile(r"localhost|127(\.[0-9]{1,3}){3}|::1")


class Address(NamedTuple):
    url_id: str
    region: str | None
    """None: the address does not say."""
    host: str
    """Host and port that must be served here for the address to be."""
    path: str
    """As the function sees it: percent-encoded, from the slash on."""

    @property
    def path_form(self) -> bool:
        """Whether the URL has no host of its own: its pages are then pages of this server."""
        return self.region is None


def function_url(base_url: str, url_id: str, region: str) -> str:
    """`base_url`: scheme, host and port by which the client reached the API."""
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{domain(parts.netloc, url_id, region)}{_port(parts.netloc)}/"


def domain(host: str, url_id: str, region: str) -> str:
    """The host name of a URL, without a port, for clients that know this server as `host`."""
    name = host.removesuffix(_port(host)).strip("[]").lower()
    return f"{url_id}.lambda-url.{region}.{'localhost' if _LOOPBACK.fullmatch(name) else name}"


def address_of(host: str, path: str) -> Address | None:
    """What a request's Host and path mean; None when it is not for a function URL."""
    if path.startswith(PATH):
        url_id, slash, rest = path[len(PATH) :].partition("/")
        return Address(url_id, None, host, slash + rest or "/")
    if ".lambda-url." in host.lower() and (match := _HOST.fullmatch(host.lower())) is not None:
        return Address(match["id"], match["region"], match["below"], path or "/")
    return None


def port_of(host: str, scheme: str) -> int:
    """The port of a Host header, or the one that the scheme implies."""
    text = _port(host)[1:]
    return int(text) if text.isascii() and text.isdigit() else {"https": 443}.get(scheme, 80)


def _port(host: str) -> str:
    """With its colon; empty when there is none."""
    colon = host.rfind(":")
    return host[colon:] if colon > host.rfind("]") else ""
