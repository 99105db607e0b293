"""What a client of a function URL gets for the result of the function. Pure: the payload in, status, headers, body out.

A result with a statusCode is a response; anything else is the body of a 200. What is neither is answered with 502, as
is every failure of the function. The bodies for each type of result were recorded from AWS.
"""

import base64
import binascii
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
import orjson

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_DIGITS: Final = re.compile(r"[0-9]{3}")
_OURS: Final = frozenset(
    {
        *("connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding"),
        *("upgrade", "x-amzn-requestid", "x-amzn-trace-id"),
    }
)
"""Headers that describe the connection or the request: a function cannot set them."""
_REMAPPED: Final = frozenset({"date", "www-authenticate"})
"""Sent as `x-amzn-Remapped-{name}`, as AWS does."""
JSON: Final = "application/json"
NO_BODY: Final = (204, 304)


@dataclass(frozen=True, slots=True)
class UrlResponse:
    status: int
    headers: Sequence[tuple[str, str]] = ()
    body: bytes | AsyncIterator[bytes] = b""

    def adding(self, *headers: tuple[str, str]) -> "UrlResponse":
        return replace(self, headers=(*self.headers, *headers))


class Malformed(Exception):
    """The result says that it is a response, and cannot be one."""


def failed() -> UrlResponse:
    """For a function that failed, in whatever way."""
    return UrlResponse(502, [("Content-Type", "text/plain")], b"Internal Server Error")


def message(status: int, code: str, body: Mapping[str, Any]) -> UrlResponse:
    """An error of the platform."""
    return UrlResponse(status, [("Content-Type", JSON), ("x-amzn-ErrorType", code)], orjson.dumps(body))


def response_of(payload: bytes) -> UrlResponse:
    """`payload`: what the function returned, as the runtime posted it."""
    try:
        result = _loads(payload)
        if isinstance(result, dict) and "statusCode" in result:
            return _structured(result)
        return UrlResponse(
            200, [("Content-Type", JSON)], _text(result) if isinstance(result, str) else _compact(payload)
        )
    except (Malformed, ValueError, RecursionError):
        return failed()


def head_of(prelude: bytes, content_type: str) -> UrlResponse:
    """The response, still without a body, that the prelude of a stream describes; `content_type` when it names none.

    Raises Malformed."""
    try:
        described = _loads(prelude or b"{}")
    except (ValueError, RecursionError) as error:
        raise Malformed from error
    if not isinstance(described, dict):
        raise Malformed
    return UrlResponse(_status(described.get("statusCode", 200)), _all_headers(described, content_type))


def _structured(result: Mapping[str, Any]) -> UrlResponse:
    status = _status(result["statusCode"])
    headers = _all_headers(result, JSON)
    body = b"" if result.get("body") is None else _text(result["body"])
    if result.get("isBase64Encoded") is True:
        try:
            body = base64.b64decode(body, validate=True)
        except binascii.Error as error:
            raise Malformed from error
    return UrlResponse(status, headers, b"" if status in NO_BODY else body)


def _all_headers(result: Mapping[str, Any], content_type: str) -> list[tuple[str, str]]:
    headers = _headers(result.get("headers"))
    headers += [("Set-Cookie", _header_value(cookie)) for cookie in _list(result.get("cookies"))]
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.insert(0, ("Content-Type", content_type))
    return headers


def _status(value: Any) -> int:
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 200 <= value <= 599:
        raise Malformed
    return value


def _headers(given: Any) -> list[tuple[str, str]]:
    if given is None:
        return []
    if not isinstance(given, dict):
        raise Malformed
    headers = []
    for name, value in given.items():
        if not _TOKEN.fullmatch(name):
            raise Malformed
        lower = name.lower()
        if value is None or lower in _OURS:
            continue
        headers.append((f"x-amzn-Remapped-{lower}" if lower in _REMAPPED else name, _header_value(value)))
    return headers


def _header_value(value: Any) -> str:
    if isinstance(value, dict | list):
        raise Malformed
    return value if isinstance(value, str) else json.dumps(value)


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise Malformed
    return value


def _text(value: Any) -> bytes:
    """A string as it is, anything else as compact JSON."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    try:
        return orjson.dumps(value)
    except TypeError:
        # Half characters.
        return json.dumps(value, separators=(",", ":")).encode()


def _compact(payload: bytes) -> bytes:
    try:
        # Takes the blanks alone, so that a number keeps all its digits.
        return msgspec.json.format(payload, indent=-1)
    except msgspec.DecodeError:
        # Half characters.
        return _text(json.loads(payload))


def _loads(payload: bytes) -> Any:
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError:
        return json.loads(payload)
