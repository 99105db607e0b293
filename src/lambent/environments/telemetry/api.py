"""The routes of the Telemetry API and the Logs API on the listeners of the Runtime API.

`PUT /2022-07-01/telemetry` and `PUT /2020-08-15/logs`, for registered extensions, during Init.
"""

from collections.abc import Callable

import orjson

from lambent.environments.events import SubscriptionKind
from lambent.environments.extensions.states import Extension
from lambent.environments.runtime_http import HttpRequest, encode, encode_json
from lambent.environments.telemetry.stream import Stream

PATHS = {
    b"/2022-07-01/telemetry": SubscriptionKind.TELEMETRY,
    b"/2022-07-01/telemetry/": SubscriptionKind.TELEMETRY,
    b"/2020-08-15/logs": SubscriptionKind.LOGS,
    b"/2020-08-15/logs/": SubscriptionKind.LOGS,
}
MAX_REQUEST_BYTES = 64 * 1024

_API = {SubscriptionKind.TELEMETRY: "Telemetry", SubscriptionKind.LOGS: "Logs"}
_NOT_ALLOWED = encode(405, b"text/plain", b"")


def body_limit(method: bytes, path: bytes) -> int:
    return MAX_REQUEST_BYTES if method == b"PUT" and path in PATHS else 0


class TelemetryApi:
    def __init__(self, stream: Stream, caller: Callable[[HttpRequest], Extension | bytes]) -> None:
        """`caller` tells which extension a request names, or the reply that refuses it."""
        self._stream = stream
        self._caller = caller

    def handle(self, request: HttpRequest) -> bytes:
        """The reply to a request for one of `PATHS`."""
        if request.method != b"PUT":
            return _NOT_ALLOWED
        kind = PATHS[request.path]
        caller = self._caller(request)
        if isinstance(caller, bytes):
            return caller
        if not self._stream.open:
            api = _API[kind]
            return _error(403, f"{api}.SubscriptionClosed", f"{api} API subscription is closed already")
        return self._subscribe(caller.name, kind, request)

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


def _error(status: int, error_type: str, message: str) -> bytes:
    return encode_json(status, orjson.dumps({"errorMessage": message, "errorType": error_type}))
