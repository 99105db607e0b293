"""Replies that are streams of events: from what a handler yields to frames, by the model.

A handler of such an operation returns an async iterator as the member that is the stream; each item is one event,
`{name of the event: its members}`. An `ApiError` that the iterator raises becomes the last frame.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from lambent.aws import eventstream
from lambent.aws.errors import ApiError
from lambent.aws.shapes import OperationModel, Shape, StructureShape
from lambent.gateway.http import HttpResponse, closed
from lambent.gateway.protocols import json_body
from lambent.gateway.protocols.shapes import scalar_to_text

Events = AsyncIterator[Mapping[str, Any]]
_CONTENT_TYPES = {"blob": "application/octet-stream", "string": "text/plain", "structure": "application/json"}


def member_of(operation: OperationModel) -> str | None:
    """The member of the output that is a stream of events."""
    shape = operation.output_shape
    name: str | None = None if shape is None else shape.event_stream_name
    return name


def streamed(response: HttpResponse, shape: StructureShape, events: Events, *, initial: bool) -> HttpResponse:
    """`response`: what the other members make; `initial`: they have no place but a frame of their own."""
    headers = [(name, value) for name, value in response.headers if name.lower() != "content-type"]
    # Empty, the head leaves alone, which tells the client that the call was accepted.
    first = b""
    if initial and isinstance(response.body, bytes):
        first = _frame("initial-response", "application/json", response.body)
    content_type = ("Content-Type", eventstream.CONTENT_TYPE)
    return HttpResponse(response.status, [content_type, *headers], Frames(shape, events, first))


class Frames:
    """The body of such a reply."""

    def __init__(self, shape: StructureShape, events: Events, first: bytes) -> None:
        self._shape = shape
        self._events = events
        self._first: bytes | None = first
        self._over = False

    def __aiter__(self) -> "Frames":
        return self

    async def __anext__(self) -> bytes:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        if self._over:
            raise StopAsyncIteration
        try:
            event = await anext(self._events)
        except ApiError as error:
            self._over = True
            return _error(self._shape, error)
        ((name, members),) = event.items()
        member = self._shape.members[name]
        assert isinstance(member, StructureShape)
        return frame(member, name, members)

    async def aclose(self) -> None:
        await closed(self._events)


def frame(shape: StructureShape, name: str, members: Mapping[str, Any]) -> bytes:
    """One event. `shape` says which of its members are headers, and which the payload."""
    headers: dict[str, str] = {}
    body: dict[str, Any] = {}
    for member_name, value in members.items():
        member = shape.members[member_name]
        if value is None:
            continue
        if member.serialization.get("eventheader"):
            headers[member_name] = scalar_to_text(member, value, timestamps="iso8601")
        elif member.serialization.get("eventpayload"):
            return _frame(name, _CONTENT_TYPES[member.type_name], _payload(member, value), headers)
        else:
            body[member_name] = json_body.document_of(value, member)
    return _frame(name, "application/json", json_body.dump(body), headers)


def _payload(shape: Shape, value: Any) -> bytes:
    if isinstance(shape, StructureShape):
        return json_body.dump(json_body.document_of(value, shape))
    return value.encode() if isinstance(value, str) else bytes(value)


def _frame(name: str, content_type: str, payload: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    head = {":event-type": name, ":content-type": content_type, ":message-type": "event"}
    return eventstream.encode(head | dict(headers or {}), payload)


def _error(shape: StructureShape, error: ApiError) -> bytes:
    """Modelled in the stream it is an exception with a body, else an error that is all headers."""
    message = error.message or ""
    if error.code in shape.members:
        head = {":exception-type": error.code, ":content-type": "application/json", ":message-type": "exception"}
        return eventstream.encode(head, json_body.dump({"message": message}))
    return eventstream.encode({":error-code": error.code, ":error-message": message, ":message-type": "error"}, b"")
