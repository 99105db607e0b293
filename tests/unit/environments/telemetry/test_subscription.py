"""What a request to subscribe may be, and the words in which one is refused."""

from typing import Any

import orjson
import pytest

from lambent.environments.events import SubscriptionKind
from lambent.environments.telemetry.schemas import Schema
from lambent.environments.telemetry.subscription import Buffering, Destination, Refused, parse

TELEMETRY, LOGS = SubscriptionKind.TELEMETRY, SubscriptionKind.LOGS


def asked(**changes: Any) -> bytes:
    request = {
        "schemaVersion": "2022-12-13",
        "types": ["platform", "function", "extension"],
        "destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain:8080"},
    } | changes
    return orjson.dumps({name: value for name, value in request.items() if value is not ...})


def refused(body: bytes, kind: SubscriptionKind = TELEMETRY) -> tuple[int, str, str]:
    with pytest.raises(Refused) as caught:
        parse(body, kind)
    return caught.value.status, caught.value.error_type, caught.value.message


def test_defaults_are_those_of_the_guide() -> None:
    subscription = parse(asked(), TELEMETRY)
    assert subscription.schema is Schema.TELEMETRY_2022_12_13
    assert subscription.types == ("platform", "function", "extension")
    assert subscription.destination == Destination(protocol="HTTP", port=8080, host="sandbox.localdomain")
    assert subscription.buffering == Buffering(max_items=10_000, max_bytes=262_144, timeout_ms=1000)


def test_a_path_a_port_of_tcp_and_bounds_at_their_ends() -> None:
    uri = {"protocol": "HTTP", "URI": "http://sandbox:80/a/b?c=d"}
    assert parse(asked(destination=uri), TELEMETRY).destination.path == "/a/b?c=d"
    tcp = parse(asked(destination={"protocol": "TCP", "port": 65_535}), TELEMETRY).destination
    assert (tcp.protocol, tcp.port) == ("TCP", 65_535)
    for buffering in (
        {"maxItems": 1000, "maxBytes": 262_144, "timeoutMs": 25},
        {"maxItems": 10_000, "maxBytes": 1_048_576, "timeoutMs": 30_000},
    ):
        assert parse(asked(buffering=buffering), TELEMETRY).buffering.max_items == buffering["maxItems"]


def test_the_logs_api_has_a_default_schema_and_may_put() -> None:
    destination = {"protocol": "HTTP", "URI": "http://sandbox.localdomain:8080/lambda_logs", "method": "PUT"}
    subscription = parse(asked(schemaVersion=..., destination=destination), LOGS)
    assert subscription.schema is Schema.LOGS_2020_08_15
    assert subscription.destination.method == "PUT"


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        (TELEMETRY, {"types": []}, "types should not be empty"),
        (TELEMETRY, {"types": ["platform", "platform"]}, "types should be unique"),
        (
            TELEMETRY,
            {"types": [], "destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain"}},
            "URI port is not provided; types should not be empty",
        ),
        (TELEMETRY, {"buffering": {"maxItems": 999}}, "maxItems should be between 1000 and 10000"),
        (TELEMETRY, {"buffering": {"maxBytes": 262_143}}, "maxBytes should be between 262144 and 1048576"),
        (TELEMETRY, {"buffering": {"timeoutMs": 30_001}}, "timeoutMs should be between 25 and 30000"),
        (TELEMETRY, {"destination": {"protocol": "TCP", "port": 0}}, "port should be between 1 and 65535"),
        (TELEMETRY, {"destination": {"protocol": "TCP", "port": 9001}}, "port 9001 is reserved"),
        (
            TELEMETRY,
            {"schemaVersion": "2021-03-18"},
            "TelemetryAPI only supports the SchemaVersion released after 2021-03-18",
        ),
        (
            TELEMETRY,
            {"schemaVersion": ...},
            "TelemetryAPI only supports the SchemaVersion released after 2021-03-18",
        ),
        (LOGS, {}, "LogsAPI only supports the following SchemaVersion: 2020-08-15, 2021-03-18"),
    ],
)
def test_values_that_cannot_be(kind: SubscriptionKind, changes: dict[str, Any], message: str) -> None:
    assert refused(asked(**changes), kind) == (400, "ValidationError", message)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"destination": ...}, "missing field `destination`"),
        ({"types": ...}, "missing field `types`"),
        ({"destination": {"protocol": "TCP"}}, "missing field `port`"),
        ({"destination": {"protocol": "HTTP"}}, "missing field `URI`"),
        (
            {"extensionName": "x"},
            "unknown field `extensionName`, expected one of `schemaVersion`, `types`, `buffering`, `destination`",
        ),
        ({"types": ["logs"]}, "unknown variant `logs`, expected one of `platform`, `function`, `extension`"),
        ({"destination": {"protocol": "UDP", "port": 1}}, "unknown variant `UDP`, expected `HTTP` or `TCP`"),
        ({"destination": {"protocol": "TCP", "port": -1}}, "invalid type: expected u16 for `port`"),
        ({"buffering": {"maxItems": "many"}}, "invalid type: expected usize for `maxItems`"),
        ({"buffering": {"maxItems": True}}, "invalid type: expected usize for `maxItems`"),
        ({"buffering": []}, "invalid type: expected struct for `buffering`"),
    ],
)
def test_requests_that_cannot_be_read(changes: dict[str, Any], message: str) -> None:
    assert refused(asked(**changes)) == (400, "DeserializationError", message)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff"])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    assert refused(body)[:2] == (400, "DeserializationError")


@pytest.mark.parametrize("uri", ["https://sandbox.localdomain:80", "ftp://sandbox:1", "sandbox.localdomain:80"])
def test_only_http(uri: str) -> None:
    status, error_type, message = refused(asked(destination={"protocol": "HTTP", "URI": uri}))
    assert (status, error_type, message) == (403, "AccessDenied", "Only 'http' scheme is supported.")


@pytest.mark.parametrize("uri", ["http://127.0.0.1:80", "http://example.com:80", "http://user@evil:80", "http://:80"])
def test_only_the_inside(uri: str) -> None:
    status, error_type, message = refused(asked(destination={"protocol": "HTTP", "URI": uri}))
    assert (status, error_type, message) == (
        403,
        "AccessDenied",
        "Only 'sandbox.localdomain' hostname is supported.",
    )


@pytest.mark.parametrize(
    "uri",
    ["http://sandbox:80/\r\nX: y", "http://sandbox:80/ä", "http://sandbox:99999/", "http://sandbox:x/", "http://[:80"],
)
def test_a_uri_cannot_write_headers(uri: str) -> None:
    assert refused(asked(destination={"protocol": "HTTP", "URI": uri})) == (400, "ValidationError", "URI is not valid")
