"""The routes of the Telemetry API and the Logs API on the listeners of the Runtime API.

`PUT /2022-07-01/telemetry` and `PUT /2020-08-15/logs`, for registered extensions, during Init.
"""

import re
from collections.abc import Callable

import orjson

from lambent.environments.events import SubscriptionKind
from lambent.environments.runtime_http import HttpRequest, encode, encode_json
from lambent.environments.telemetry.stream import Stream

PATHS = {
    b"/2022-07-01/telemetry": SubscriptionKind.TELEMETRY,
    b"/2022-07-01/telemetry/": SubscriptionKind.TELEMETRY,
    b"/2020-08-15/logs": SubscriptionKind.LOGS,
    b"/2020-08-15/logs/": SubscriptionKind.LOGS,
}
MAX_REQUEST_BYTES = 64 * 1024

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_API = {SubscriptionKind.TELEMETRY: "Telemetry", SubscriptionKind.LOGS: "Logs"}
_NOT_ALLOWED = encode(405, b"text/plain", b"")


class TelemetryApi:
    def __init__(self, stream: Stream, name_of: Callable[[str], str | None]) -> None:
        """`name_of` tells the name of the extension that was registered with an identifier."""
        self._stream = stream
        self._name_of = name_of

    def handle(self, request: HttpRequest) -> bytes:
        """The reply to a request for one of `PATHS`."""
        if request.method != b"PUT":
            return _NOT_ALLOWED
        kind = PATHS[request.path]
        header = request.headers.get(b"lambda-extension-identifier", b"").decode("latin-1")
        if not header:
            return _forbidden("Extension.MissingExtensionIdentifier", "Missing Lambda-Extension-Identifier header")
        if not _UUID.fullmatch(header):
            return _forbidden("Extension.InvalidExtensionIdentifier", "Invalid Lambda-Extension-Identifier")
        name = self._name_of(header)
        if name is None:
            return _forbidden("Extension.UnknownExtensionIdentifier", f"Unknown extension {header}")
        api = _API[kind]
        if not self._stream.open:
            return _forbidden(f"{api}.SubscriptionClosed", f"{api} API subscription is closed already")
        return self._subscribe(name, kind, request)

    def _subscribe(self, name: str, kind: SubscriptionKind, request: HttpRequest) -> bytes:
        from lambent.environments.telemetry.subscription import Refused, parse

        try:
            if request.oversized:
                raise Refused(400, "DeserializationError", f"request is larger than {MAX_REQUEST_BYTES} bytes")
            answer = self._stream.subscribe(name, kind, parse(request.body, kind))
        except Refused as error:
            return _error(error.status, _error_type(kind, error.error_type), error.message)
        return encode_json(200, orjson.dumps(answer))


def _error_type(kind: SubscriptionKind, name: str) -> str:
    # As documented: the Telemetry API's ValidationError alone has no prefix.
    if kind is SubscriptionKind.TELEMETRY and name == "ValidationError":
        return name
    return f"{_API[kind]}.{name}"


def _forbidden(error_type: str, message: str) -> bytes:
    return _error(403, error_type, message)


def _error(status: int, error_type: str, message: str) -> bytes:
    return encode_json(status, orjson.dumps({"errorMessage": message, "errorType": error_type}))
