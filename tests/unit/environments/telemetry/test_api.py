"""Who may subscribe, when, and what is answered: the routes as they are on the wire."""

import orjson
import pytest

from lambent.environments.extensions.api import ExtensionsApi, FunctionFacts
from lambent.environments.extensions.states import Extension
from lambent.environments.runtime_http import HttpRequest
from lambent.environments.telemetry.api import TelemetryApi
from tests.unit.environments.telemetry.kit import Told, told

TELEMETRY, LOGS = b"/2022-07-01/telemetry", b"/2020-08-15/logs"


class Nobody:
    """Implements `ExtensionEvents`."""

    def extension_registered(self, extension: Extension) -> None: ...

    def extension_ready(self, extension: Extension) -> None: ...

    def extension_reported(self, extension: Extension) -> None: ...


EXTENSIONS = ExtensionsApi(FunctionFacts("000000000000", "thumbnail", "$LATEST", "app.handler"), Nobody())
EXTENSIONS.begin(["agent"])
IDENTIFIER = EXTENSIONS.extensions[0].identifier


def put(
    it: Told, path: bytes = TELEMETRY, *, identifier: str | None = IDENTIFIER, method: bytes = b"PUT", **body: object
) -> tuple[int, object]:
    api = TelemetryApi(it.stream, EXTENSIONS.caller)
    headers = {} if identifier is None else {b"lambda-extension-identifier": identifier.encode()}
    sent = orjson.dumps({"types": ["platform"], "destination": {"protocol": "TCP", "port": 1}} | body)
    head, _, answer = api.handle(HttpRequest(method, path, headers, sent, {}, False)).partition(b"\r\n\r\n")
    return int(head.split()[1]), orjson.loads(answer) if answer else None


async def test_a_subscription_is_answered_with_ok() -> None:
    for path, schema, word in ((TELEMETRY, "2022-12-13", "TELEMETRY"), (LOGS, "2021-03-18", "LOGS")):
        it = told()
        it.init()
        assert put(it, path, schemaVersion=schema) == (200, "OK")
        assert put(it, path + b"/", schemaVersion=schema) == (200, "AlreadySubscribed")
        assert it.log.lines == [
            f"{word}\tName: agent\tState: Subscribed\tTypes: [Platform]\n",
            f"{word}\tName: agent\tState: Already subscribed\tTypes: [Platform]\n",
        ]
        it.stream.close()


@pytest.mark.parametrize(
    ("identifier", "error_type", "message"),
    [
        (None, "Extension.MissingExtensionIdentifier", "Missing Lambda-Extension-Identifier header"),
        ("x", "Extension.InvalidExtensionIdentifier", "Invalid Lambda-Extension-Identifier"),
        ("0" * 36, "Extension.InvalidExtensionIdentifier", "Invalid Lambda-Extension-Identifier"),
        (
            "00000000-0000-4000-8000-000000000000",
            "Extension.UnknownExtensionIdentifier",
            "Unknown extension 00000000-0000-4000-8000-000000000000",
        ),
    ],
)
def test_only_registered_extensions(identifier: str | None, error_type: str, message: str) -> None:
    it = told()
    it.init()
    assert put(it, identifier=identifier) == (403, {"errorMessage": message, "errorType": error_type})


@pytest.mark.parametrize(("path", "api"), [(TELEMETRY, "Telemetry"), (LOGS, "Logs")])
def test_only_during_init(path: bytes, api: str) -> None:
    it = told()
    closed = (
        403,
        {"errorMessage": f"{api} API subscription is closed already", "errorType": f"{api}.SubscriptionClosed"},
    )
    assert put(it, path) == closed
    it.init()
    it.init_ended()
    assert put(it, path) == closed


def test_errors_name_their_api() -> None:
    it = told()
    it.init()
    assert put(it, types=[], schemaVersion="2022-12-13") == (
        400,
        {"errorMessage": "types should not be empty", "errorType": "ValidationError"},
    )
    assert put(it, LOGS, types=[])[1] == {
        "errorMessage": "types should not be empty",
        "errorType": "Logs.ValidationError",
    }
    assert put(it, extra=1)[1] == {
        "errorMessage": "unknown field `extra`, expected one of `schemaVersion`, `types`, `buffering`, `destination`",
        "errorType": "Telemetry.DeserializationError",
    }
    assert not it.log.lines


def test_only_put() -> None:
    assert put(told(), method=b"POST")[0] == 405
