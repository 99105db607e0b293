"""The Extensions API of one environment (`/2020-01-01/extension/...`): who has registered, and the reply of each route.

Owns the parked `/event/next` of each extension. It starts and ends nothing: it tells its `ExtensionEvents` what an
extension did. Behaviour and texts: "Lambda Extensions API" of AWS's guide, and AWS's runtime interface emulator where
the guide is silent.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from lambent.core import ids
from lambent.core.lifecycle import step
from lambent.environments.extensions.states import MAX_EXTENSIONS, NEXT, Event, Extension, ExtensionState
from lambent.environments.request import InvokeRequest
from lambent.environments.runtime_http import Connection, HttpRequest, encode, encode_json

PREFIX = b"/2020-01-01/extension/"
MAX_BODY_BYTES = 64 * 1024
MAX_NAME_BYTES = 255
"""Of a file; an internal extension may not have a longer one, since it is written to the log."""

_REGISTER = PREFIX + b"register"
_NEXT = PREFIX + b"event/next"
_INIT_ERROR = PREFIX + b"init/error"
_EXIT_ERROR = PREFIX + b"exit/error"
_IDENTIFIER = b"lambda-extension-identifier"
_ERROR_TYPE = b"lambda-extension-function-error-type"
_FEATURES = b"lambda-extension-accept-feature"

_EVENTS = frozenset(each.value for each in Event)

_ACCEPTED = encode_json(202, b'{"status":"OK"}')
_NOT_FOUND = encode(404, b"text/plain", b"404 page not found\n")
_NOT_ALLOWED = encode(405, b"text/plain", b"")


@dataclass(frozen=True, slots=True)
class FunctionFacts:
    """What an extension is told when it registers."""

    account: str
    name: str
    version: str
    handler: str


class ExtensionEvents(Protocol):
    """Called synchronously from the event loop; must not raise."""

    def extension_registered(self, extension: Extension) -> None: ...

    def extension_ready(self, extension: Extension) -> None:
        """It asked for the next event and waits for it."""
        ...

    def extension_reported(self, extension: Extension) -> None:
        """It posted an error of its init or of its end; its process may still live."""
        ...


class _Refused(Exception):
    """The argument is the reply."""


class ExtensionsApi:
    """One per environment, over all restarts of its processes. Off until `begin`: it answers 404 to everything."""

    __slots__ = ("_enabled", "_events", "_facts", "_open", "_shutdown", "extensions")

    def __init__(self, facts: FunctionFacts, events: ExtensionEvents) -> None:
        self._facts = facts
        self._events = events
        self._enabled = False
        self._open = False
        self._shutdown: tuple[int, str] | None = None
        self.extensions: list[Extension] = []

    # What the environment asks for

    def begin(self, external: Sequence[str] | None) -> None:
        """Forget all extensions and expect these to register; None turns extensions off."""
        self._enabled = external is not None
        self._open = True
        self._shutdown = None
        self.extensions = [Extension(name, ids.uuid4(), external=True) for name in external or ()]

    def close_registration(self) -> None:
        """For internal extensions; external ones have registered by then."""
        self._open = False

    def invoke(self, request: InvokeRequest, deadline_ms: int) -> set[Extension]:
        """Tell those who asked for INVOKE; they are at work now."""
        body: dict[str, Any] = {
            "eventType": Event.INVOKE,
            "deadlineMs": deadline_ms,
            "requestId": request.request_id,
            "invokedFunctionArn": request.function_arn,
        }
        if request.trace_header:
            body["tracing"] = {"type": "X-Amzn-Trace-Id", "value": request.trace_header}
        told = {each for each in self.extensions if Event.INVOKE in each.events and each.can(ExtensionState.RUNNING)}
        for extension in told:
            extension.state = step(NEXT, extension.state, ExtensionState.RUNNING)
            # One that has lost its connection meanwhile has lost the event too, as on AWS.
            _hand_over(extension, _event(body))
        return told

    def shut_down(self, deadline_ms: int, reason: str) -> list[Extension]:
        """Tell those who asked for SHUTDOWN, at once or when they ask; returns them."""
        body = {"eventType": Event.SHUTDOWN, "deadlineMs": deadline_ms, "shutdownReason": reason}
        told = [each for each in self.extensions if each.external and Event.SHUTDOWN in each.events]
        for extension in told:
            if extension.parked is not None and extension.can(ExtensionState.RUNNING):
                extension.state = step(NEXT, extension.state, ExtensionState.RUNNING)
                _hand_over(extension, _event(body))
            else:
                extension.pending = _event(body)
        return told

    # What connections bring

    def disconnected(self, connection: Connection) -> None:
        for extension in self.extensions:
            if extension.parked is connection:
                extension.parked = None

    def body_limit(self, path: bytes) -> int:
        return MAX_BODY_BYTES if self._enabled and path in (_REGISTER, _INIT_ERROR, _EXIT_ERROR) else 0

    def handle(self, connection: Connection, request: HttpRequest) -> bytes | None:
        """The reply to one complete request; None when it is a `/event/next` that was parked."""
        if not self._enabled or request.path not in (_REGISTER, _NEXT, _INIT_ERROR, _EXIT_ERROR):
            return _NOT_FOUND
        if request.method != (b"GET" if request.path == _NEXT else b"POST"):
            return _NOT_ALLOWED
        try:
            if request.oversized:
                raise _Refused(_error(413, "RequestEntityTooLarge", _TOO_LARGE))
            if request.path == _REGISTER:
                return self._register(request)
            if request.path == _NEXT:
                return self._next(connection, request)
            if request.path == _INIT_ERROR:
                return self._report(request, ExtensionState.INIT_ERROR, "InitError")
            return self._report(request, ExtensionState.EXIT_ERROR, "Exited")
        except _Refused as refusal:
            reply: bytes = refusal.args[0]
            return reply

    def caller(self, request: HttpRequest) -> Extension | bytes:
        """The extension that a request of another API names, or the reply that refuses it. Both are off together."""
        if not self._enabled:
            return _NOT_FOUND
        try:
            return self._identified(request, "Unknown extension {}")
        except _Refused as refusal:
            reply: bytes = refusal.args[0]
            return reply

    # Routes

    def _register(self, request: HttpRequest) -> bytes:
        name = request.headers.get(b"lambda-extension-name", b"")
        if not name:
            raise _forbidden("Extension.InvalidExtensionName", "Empty extension name")
        if len(name) > MAX_NAME_BYTES:
            raise _forbidden("Extension.InvalidExtensionName", "Extension name is too long")
        wanted = _wanted_events(request.body)
        extension = self._external(name.decode("utf-8", "replace"))
        if extension is None:
            extension = self._new_internal(name.decode("utf-8", "replace"), wanted)
        events = _checked_events(wanted, external=True)
        if not extension.can(ExtensionState.REGISTERED):
            raise _illegal(extension, ExtensionState.REGISTERED, extension.name)
        extension.state = step(NEXT, extension.state, ExtensionState.REGISTERED)
        extension.events = events
        self._events.extension_registered(extension)
        return self._registered(extension, request)

    def _external(self, name: str) -> Extension | None:
        return next((each for each in self.extensions if each.external and each.name == name), None)

    def _new_internal(self, name: str, wanted: Sequence[str]) -> Extension:
        _checked_events(wanted, external=False)
        if not self._open:
            raise _forbidden("Extension.RegistrationClosed", "Extension registration closed already")
        if len(self.extensions) >= MAX_EXTENSIONS:
            raise _forbidden("Extension.TooManyExtensions", f"Extension limit ({MAX_EXTENSIONS}) reached")
        if any(each.name == name for each in self.extensions):
            raise _forbidden("Extension.InvalidExtensionState", "Extension with this name already registered")
        extension = Extension(name, ids.uuid4(), external=False)
        self.extensions.append(extension)
        return extension

    def _registered(self, extension: Extension, request: HttpRequest) -> bytes:
        facts = self._facts
        body = {"functionName": facts.name, "functionVersion": facts.version, "handler": facts.handler}
        if b"accountId" in {each.strip() for each in request.headers.get(_FEATURES, b"").split(b",")}:
            body["accountId"] = facts.account
        return _with_header(f"Lambda-Extension-Identifier: {extension.identifier}", orjson.dumps(body))

    def _next(self, connection: Connection, request: HttpRequest) -> bytes | None:
        extension = self._identified(request, "Unknown extension {}")
        if not extension.can(ExtensionState.READY):
            raise _illegal(extension, ExtensionState.READY)
        extension.state = step(NEXT, extension.state, ExtensionState.READY)
        if extension.pending is not None:
            event, extension.pending = extension.pending, None
            extension.state = step(NEXT, extension.state, ExtensionState.RUNNING)
            return event
        connection.park()
        extension.parked = connection
        self._events.extension_ready(extension)
        return None

    def _report(self, request: HttpRequest, state: ExtensionState, target: str) -> bytes:
        unknown = "Unknown Lambda-Extension-Identifier"
        # The identifier's form first, then the header, then whose it is: the order of AWS's own checks.
        text = _identifier(request)
        error_type = request.headers.get(_ERROR_TYPE, b"")
        if not error_type:
            raise _forbidden("Extension.MissingHeader", "Lambda-Extension-Function-Error-Type not found")
        extension = self._find(text, unknown)
        if not extension.can(state):
            raise _illegal(extension, target)
        first = extension.state is not state
        extension.state = step(NEXT, extension.state, state)
        if first:
            extension.error_type = error_type[:MAX_NAME_BYTES].decode("latin-1")
            self._events.extension_reported(extension)
        return _ACCEPTED

    def _identified(self, request: HttpRequest, unknown: str) -> Extension:
        return self._find(_identifier(request), unknown)

    def _find(self, identifier: str, unknown: str) -> Extension:
        for extension in self.extensions:
            if extension.identifier == identifier:
                return extension
        raise _forbidden("Extension.UnknownExtensionIdentifier", unknown.format(identifier))


_TOO_LARGE = f"Exceeded maximum allowed payload size ({MAX_BODY_BYTES} bytes)."


def _identifier(request: HttpRequest) -> str:
    text = request.headers.get(_IDENTIFIER, b"")
    if not text:
        raise _forbidden("Extension.MissingExtensionIdentifier", "Missing Lambda-Extension-Identifier header")
    try:
        return str(uuid.UUID(text.decode("latin-1")))
    except ValueError:
        raise _forbidden("Extension.InvalidExtensionIdentifier", "Invalid Lambda-Extension-Identifier") from None


def _wanted_events(body: bytes) -> list[str]:
    if not body:
        raise _forbidden("InvalidRequestFormat", "unexpected end of JSON input")
    try:
        wish = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _forbidden("InvalidRequestFormat", f"invalid JSON: {error}") from None
    wish = {} if wish is None else wish
    if not isinstance(wish, dict):
        raise _forbidden("InvalidRequestFormat", "the body must be a JSON object")
    if wish.get("configurationKeys"):
        text = "configurationKeys are deprecated; use environment variables instead"
        raise _forbidden("InvalidRequestFormat", text)
    events = wish.get("events") or []
    if not isinstance(events, list) or not all(isinstance(each, str) for each in events):
        raise _forbidden("InvalidRequestFormat", "events must be a list of strings")
    return events


def _checked_events(wanted: Sequence[str], *, external: bool) -> tuple[Event, ...]:
    """In the order of first mention, each once."""
    for each in wanted:
        if each not in _EVENTS:
            raise _forbidden("Extension.InvalidEventType", f"{each}: ErrorInvalidEventType")
        if each == Event.SHUTDOWN and not external:
            text = f"{each}: ShutdownEventNotSupportedForInternalExtension"
            raise _forbidden("Extension.InvalidEventType", text)
    return tuple(Event(each) for each in dict.fromkeys(wanted))


def _hand_over(extension: Extension, event: bytes) -> None:
    parked, extension.parked = extension.parked, None
    if parked is not None:
        parked.reply(event)


def _event(body: dict[str, Any]) -> bytes:
    return _with_header(f"Lambda-Extension-Event-Identifier: {ids.uuid4()}", orjson.dumps(body))


def _with_header(header: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{header}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _error(status: int, error_type: str, message: str) -> bytes:
    return encode_json(status, orjson.dumps({"errorMessage": message, "errorType": error_type}))


def _forbidden(error_type: str, message: str) -> _Refused:
    return _Refused(_error(403, error_type, message))


def _illegal(extension: Extension, target: str, called: str | None = None) -> _Refused:
    text = (
        f"State transition from {extension.state} to {target} failed for extension "
        f"{called or extension.identifier}. Error: State transition is not allowed"
    )
    return _forbidden("Extension.InvalidExtensionState", text)
