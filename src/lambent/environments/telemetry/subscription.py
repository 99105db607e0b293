"""A request to subscribe, read and checked: which events, where to, in which portions. Pure.

Owns the texts of AWS's errors: those of a request that cannot be read name the field as its parser does
(`unknown field`, `unknown variant`), those of values that cannot be are collected in one message.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import SplitResult, urlsplit

import orjson

from lambent.environments.events import SubscriptionKind
from lambent.environments.telemetry.schemas import Schema

MAX_REQUEST_BYTES = 64 * 1024
RESERVED_PORT = 9001
"""Of the Runtime API."""

TYPES = ("platform", "function", "extension")
_HOSTS = ("sandbox.localdomain", "sandbox")
_FIELDS = ("schemaVersion", "types", "buffering", "destination")
_BUFFERING = ("maxItems", "maxBytes", "timeoutMs")
_DESTINATION = ("protocol", "URI", "port", "method", "encoding")


@dataclass(frozen=True, slots=True, kw_only=True)
class Buffering:
    max_items: int = 10_000
    max_bytes: int = 262_144
    timeout_ms: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A port of the loopback inside the sandbox."""

    protocol: str
    """HTTP or TCP."""
    port: int
    host: str = ""
    path: str = "/"
    method: str = "POST"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    schema: Schema
    types: tuple[str, ...]
    destination: Destination
    buffering: Buffering


class Refused(Exception):
    """The reply: a status, an error type without the name of the API, a text."""

    def __init__(self, status: int, error_type: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.error_type = error_type
        self.message = message


_LIMITS = {"maxItems": (1000, 10_000), "maxBytes": (262_144, 1_048_576), "timeoutMs": (25, 30_000)}


def parse(body: bytes, kind: SubscriptionKind) -> Subscription:
    """Raises Refused."""
    try:
        sent = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _unreadable(f"{error.msg} at line {error.lineno} column {error.colno}") from None
    if not isinstance(sent, dict):
        raise _unreadable("invalid type: expected struct SubscriptionRequest")
    _check_fields(sent, _FIELDS)
    schema = _schema(sent.get("schemaVersion"))
    types = _types(_required(sent, "types"))
    wanted = _object(_required(sent, "destination"), "destination", _DESTINATION)
    buffering = _object(sent.get("buffering", {}), "buffering", _BUFFERING)
    method = _variant(wanted.get("method", "POST"), ("POST", "PUT"))
    _variant(wanted.get("encoding", "JSON"), ("JSON",))
    problems: list[str] = []
    destination = _destination(wanted, method, problems)
    if not types:
        problems.append("types should not be empty")
    elif len(set(types)) < len(types):
        problems.append("types should be unique")
    numbers = _numbers(buffering, problems)
    schema = _of_api(schema, kind, problems)
    if problems:
        raise Refused(400, "ValidationError", "; ".join(problems))
    return Subscription(
        schema=schema,
        types=types,
        destination=destination,
        buffering=Buffering(
            max_items=numbers.get("maxItems", 10_000),
            max_bytes=numbers.get("maxBytes", 262_144),
            timeout_ms=numbers.get("timeoutMs", 1000),
        ),
    )


def _schema(sent: object) -> Schema | None:
    return None if sent is None else Schema(_variant(sent, tuple(Schema)))


def _of_api(schema: Schema | None, kind: SubscriptionKind, problems: list[str]) -> Schema:
    if kind is SubscriptionKind.LOGS:
        schema = schema or Schema.LOGS_2020_08_15
        if schema.kind is not kind:
            problems.append("LogsAPI only supports the following SchemaVersion: 2020-08-15, 2021-03-18")
    else:
        schema = schema or Schema.LOGS_2020_08_15
        if schema.kind is not kind:
            problems.append("TelemetryAPI only supports the SchemaVersion released after 2021-03-18")
    return schema


def _types(sent: object) -> tuple[str, ...]:
    if not isinstance(sent, list):
        raise _unreadable("invalid type: expected a sequence for `types`")
    return tuple(_variant(name, TYPES) for name in sent)


def _destination(sent: Mapping[str, Any], method: str, problems: list[str]) -> Destination:
    protocol = _variant(_required(sent, "protocol"), ("HTTP", "TCP"))
    if protocol == "TCP":
        port = _required(sent, "port")
        if not _is_number(port):
            raise _unreadable("invalid type: expected u16 for `port`")
        _check_port(cast(int, port), problems)
        return Destination(protocol=protocol, port=cast(int, port))
    uri = _required(sent, "URI")
    if not isinstance(uri, str):
        raise _unreadable("invalid type: expected a string for `URI`")
    parts, number = _split(uri)
    if parts.scheme != "http":
        raise Refused(403, "AccessDenied", "Only 'http' scheme is supported.")
    if parts.hostname not in _HOSTS:
        raise Refused(403, "AccessDenied", "Only 'sandbox.localdomain' hostname is supported.")
    if number is None:
        problems.append("URI port is not provided")
    else:
        _check_port(number, problems)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Destination(protocol=protocol, port=number or 0, host=parts.hostname, path=path, method=method)


def _split(uri: str) -> tuple[SplitResult, int | None]:
    # What would end a line, or the request's target, of the requests that are made of it.
    if not uri.isascii() or not uri.isprintable() or " " in uri:
        raise Refused(400, "ValidationError", "URI is not valid")
    try:
        parts = urlsplit(uri)
        return parts, parts.port
    except ValueError:
        raise Refused(400, "ValidationError", "URI is not valid") from None


def _check_port(port: int, problems: list[str]) -> None:
    if not 1 <= port <= 65_535:
        problems.append("port should be between 1 and 65535")
    elif port == RESERVED_PORT:
        problems.append(f"port {RESERVED_PORT} is reserved")


def _numbers(sent: Mapping[str, Any], problems: list[str]) -> dict[str, int]:
    for name, value in sent.items():
        low, high = _LIMITS[name]
        if not _is_number(value):
            raise _unreadable(f"invalid type: expected usize for `{name}`")
        if not low <= value <= high:
            problems.append(f"{name} should be between {low} and {high}")
    return dict(sent)


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _required(sent: Mapping[str, Any], name: str) -> object:
    if sent.get(name) is None:
        raise _unreadable(f"missing field `{name}`")
    return sent[name]


def _object(sent: object, name: str, fields: Sequence[str]) -> dict[str, Any]:
    if not isinstance(sent, dict):
        raise _unreadable(f"invalid type: expected struct for `{name}`")
    _check_fields(sent, fields)
    return {key: value for key, value in sent.items() if value is not None}


def _check_fields(sent: Mapping[str, Any], fields: Sequence[str]) -> None:
    for name in sent:
        if name not in fields:
            raise _unreadable(f"unknown field `{name}`, expected {_one_of(fields)}")


def _variant(sent: object, variants: Sequence[str]) -> str:
    if not isinstance(sent, str) or sent not in variants:
        raise _unreadable(f"unknown variant `{sent}`, expected {_one_of(variants)}")
    return str(sent)


def _one_of(names: Sequence[str]) -> str:
    quoted = [f"`{name}`" for name in names]
    if len(quoted) <= 2:
        return " or ".join(quoted)
    return "one of " + ", ".join(quoted)


def _unreadable(message: str) -> Refused:
    return Refused(400, "DeserializationError", message[:1000])
