"""What is answered outside this process: a request and a reply of HTTP that are passed on, and the one who takes them.

The gateway knows who calls and for which service; whoever is behind this knows how to reach an answer. Bodies are
whole: `REQUEST_BYTES` is the most of one request, `REPLY_BYTES` of one reply, so that their memory has a bound.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

REQUEST_BYTES: Final = 256 * 1024 * 1024
REPLY_BYTES: Final = 256 * 1024 * 1024

_BUCKET_HOST: Final = re.compile(
    r"(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}?[a-z0-9])\.(?:s3(?:[.-][a-z0-9-]+)*\.)?localhost(?::\d+)?"
)


class UnknownService(LookupError):
    """Nobody outside answers a service of this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideRequest:
    service: str
    """The name that the request was signed for: `iam`, `states`, `s3`."""
    account: str
    region: str
    access_key_id: str
    method: str
    path: str
    """As on the wire, as is `query`."""
    query: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(frozen=True, slots=True)
class OutsideReply:
    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes


class Outside(Protocol):
    async def forward(self, request: OutsideRequest) -> OutsideReply:
        """Raises `UnknownService`; `ApiError` with a 5xx when there is no answer."""
        ...


def path_with_bucket(request: OutsideRequest) -> str:
    """`bucket.localhost/key` and `bucket.s3.localhost/key` as `/bucket/key`."""
    if request.service != "s3":
        return request.path
    host = _BUCKET_HOST.fullmatch(request.headers.get("host", ""))
    if host is None or host["bucket"].startswith("s3."):
        return request.path
    return f"/{host['bucket']}{request.path}"
