"""CORS of function URLs, answered by the platform: preflight requests, and the headers of other replies. Pure.

A configured member replaces what the function says of the same; what is not configured is the function's business.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from lambent.functions.records import Cors
from lambent.invocation.url_response import UrlResponse

ORIGIN: Final = "access-control-allow-origin"
CREDENTIALS: Final = "access-control-allow-credentials"
METHODS: Final = "access-control-allow-methods"
HEADERS: Final = "access-control-allow-headers"
MAX_AGE: Final = "access-control-max-age"
EXPOSED: Final = "access-control-expose-headers"


def is_preflight(method: str, headers: Mapping[str, str]) -> bool:
    return method == "OPTIONS" and "origin" in headers and "access-control-request-method" in headers


def preflight(cors: Cors, headers: Mapping[str, str]) -> UrlResponse:
    """To an origin that is not allowed the same without CORS headers: then the browser refuses."""
    allowed = _origin(cors, headers.get("origin"))
    reply = [("Vary", "Origin")]
    if allowed is not None:
        reply += _of_origin(cors, allowed)
        if cors.allow_methods:
            reply.append((METHODS, ",".join(cors.allow_methods)))
        if cors.allow_headers:
            reply.append((HEADERS, ",".join(cors.allow_headers)))
        if cors.max_age_s is not None:
            reply.append((MAX_AGE, str(cors.max_age_s)))
    return UrlResponse(200, reply)


def with_cors(cors: Cors | None, headers: Mapping[str, str], response: UrlResponse) -> UrlResponse:
    """The reply to a request with `headers`."""
    if cors is None:
        return response
    configured = _configured(cors)
    kept = [(name, value) for name, value in response.headers if name.lower() not in configured]
    allowed = _origin(cors, headers.get("origin"))
    if allowed is not None:
        kept += _of_origin(cors, allowed)
        if cors.expose_headers:
            kept.append((EXPOSED, ",".join(cors.expose_headers)))
        kept.append(("Vary", "Origin"))
    return UrlResponse(response.status, kept, response.body)


def _configured(cors: Cors) -> frozenset[str]:
    members: Mapping[str, object] = {
        ORIGIN: cors.allow_origins,
        CREDENTIALS: cors.allow_credentials,
        METHODS: cors.allow_methods,
        HEADERS: cors.allow_headers,
        MAX_AGE: cors.max_age_s,
        EXPOSED: cors.expose_headers,
    }
    return frozenset(name for name, value in members.items() if value is not None)


def _of_origin(cors: Cors, allowed: str) -> Sequence[tuple[str, str]]:
    headers = [(ORIGIN, allowed)]
    if cors.allow_credentials:
        headers.append((CREDENTIALS, "true"))
    return headers


def _origin(cors: Cors, origin: str | None) -> str | None:
    """What to allow; None: this origin may not, or there is none."""
    if origin is None or cors.allow_origins is None:
        return None
    if "*" in cors.allow_origins:
        # Browsers take no wildcard together with credentials.
        return origin if cors.allow_credentials else "*"
    return origin if origin.lower() in (allowed.lower() for allowed in cors.allow_origins) else None
