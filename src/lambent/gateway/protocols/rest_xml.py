"""rest-xml: path, query and headers carry the members that the model binds there; the body carries the rest, as XML.

What S3 does otherwise than its model says comes in a `Habits`, from `quirks.s3`: names of roots, orders, statuses.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

from lambent.aws.errors import ApiError
from lambent.aws.shapes import ListShape, MapShape, OperationModel, ServiceModel, Shape, StructureShape
from lambent.aws.streams import FileRange
from lambent.gateway.http import HttpRequest, HttpResponse
from lambent.gateway.protocols import xml_body
from lambent.gateway.protocols.errors import error_shape
from lambent.gateway.protocols.shapes import Bindings, bad_value, bindings, scalar_from_text, scalar_to_text
from lambent.gateway.protocols.xml_body import Malformed

CONTENT_TYPE: Final = ("Content-Type", "application/xml")
NO_BODY: Final = (204, 304)
FIELDS: Final = 1000


@dataclass(frozen=True, slots=True)
class Habits:
    roots: Mapping[str, str] = field(default_factory=dict)
    """Of replies, by operation, where it is not the shape's name."""
    first: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Members that come before the others, by operation."""
    statuses: Mapping[str, int] = field(default_factory=dict)
    bare: Mapping[str, str] = field(default_factory=dict)
    """Operations whose whole reply is the text of one member, in its own element."""
    as_text: frozenset[str] = frozenset()
    """Shapes of headers that are free text, whatever the model says."""
    malformed: Callable[[str], ApiError] = bad_value
    """A body that is not what its shape wants."""
    bad_argument: Callable[[str, str, ApiError], ApiError | None] = lambda name, text, error: error
    """A query value or header that is none of its type: (name on the wire, text, error); None ignores it."""
    header_from_text: Callable[[str], str] = str
    """Of a map of headers: what is kept of a value on the wire, and back."""
    header_to_text: Callable[[str], str] = str


PLAIN: Final = Habits()


class RestXml:
    def __init__(self, habits: Habits = PLAIN) -> None:
        self._habits = habits

    def parse(self, operation: OperationModel, request: HttpRequest, labels: Mapping[str, str]) -> dict[str, Any]:
        shape = operation.input_shape
        if shape is None:
            return {}
        places = bindings(shape)
        found: dict[str, Any] = {}
        for name, member in places.uri.items():
            found[name] = scalar_from_text(member, labels[places.wire_names[name]], timestamps="iso8601")
        if places.query:
            found.update(self._query(places, request.query))
        if places.header or places.header_prefix:
            found.update(self._headers(places, request.headers))
        if places.payload is not None:
            payload = self._payload(shape.members[places.payload], request.body)
            if payload is not None:
                found[places.payload] = payload
        elif places.body and request.body:
            found.update(self._structure(shape, request.body))
        return {name: found[name] for name in shape.members if name in found}

    def serialise(self, operation: OperationModel, result: Mapping[str, Any], request_id: str = "") -> HttpResponse:
        habits, shape, name = self._habits, operation.output_shape, operation.name
        status: int = habits.statuses.get(name) or operation.http.get("responseCode", 200)
        if shape is None:
            return HttpResponse(status, ())
        if status == 200 and result.get("ContentRange") is not None:
            # Which the model does not say: a part of what was asked for.
            status = 206
        places = bindings(shape)
        headers: list[tuple[str, str]] = []
        inside: dict[str, Any] = {}
        payload: Any = None
        for member_name, value in result.items():
            if value is None:
                continue
            member = shape.members[member_name]
            if member_name == places.status:
                status = value
            elif member_name == places.payload:
                payload = value
            elif member_name in places.header:
                headers.append((places.wire_names[member_name], _header_text(member, value)))
            elif member_name in places.header_prefix:
                prefix = places.wire_names[member_name]
                headers.extend((prefix + key, habits.header_to_text(text)) for key, text in value.items())
            else:
                inside[member_name] = value
        if places.payload is not None:
            body, types = _payload_body(shape.members[places.payload], places, payload)
        elif places.body and status not in NO_BODY and operation.http["method"] != "HEAD":
            body, types = self._document(operation, shape, inside), (CONTENT_TYPE,)
        else:
            body, types = b"", ()
        if any(header.lower() == "content-type" for header, _ in headers):
            types = ()
        return HttpResponse(status, (*types, *headers), body)

    def serialise_error(self, model: ServiceModel | None, error: ApiError, request_id: str = "") -> HttpResponse:
        status, content = error_of(model, error)
        return HttpResponse(status, (CONTENT_TYPE, *error.headers.items()), xml_body.document("Error", "", content))

    def _document(self, operation: OperationModel, shape: StructureShape, value: Mapping[str, Any]) -> bytes:
        habits, name = self._habits, operation.name
        bare = habits.bare.get(name)
        space = _namespace(operation.service_model)
        if bare is not None:
            return xml_body.document(bare, space, xml_body.escaped(value.get(bare) or ""))
        root = habits.roots.get(name) or shape.serialization.get("name") or shape.name
        ordered = {member: value[member] for member in _order(shape, habits.first.get(name, ())) if member in value}
        return xml_body.document(root, space, "".join(xml_body.members_xml(shape, ordered)))

    def _query(self, places: Bindings, query: str) -> dict[str, Any]:
        sent = pairs_of(query)
        found: dict[str, Any] = {}
        for name, member in places.query.items():
            wire = places.wire_names[name]
            values = sent.get(wire)
            if values is None:
                continue
            if isinstance(member, ListShape):
                found[name] = values
            elif isinstance(member, MapShape):
                found[name] = {key: texts[-1] for key, texts in sent.items()}
            else:
                self._scalar(found, name, wire, member, values[-1], "iso8601")
        return found

    def _headers(self, places: Bindings, headers: Mapping[str, str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, member in places.header.items():
            wire = places.wire_names[name]
            text = headers.get(wire.lower())
            if text is None:
                continue
            if isinstance(member, ListShape):
                found[name] = [part for part in (part.strip() for part in text.split(",")) if part]
            else:
                self._scalar(found, name, wire, member, text, "rfc822")
        for name in places.header_prefix:
            prefix = places.wire_names[name].lower()
            read = self._habits.header_from_text
            taken = {key[len(prefix) :]: read(text) for key, text in headers.items() if key.startswith(prefix)}
            if taken:
                found[name] = taken
        return found

    def _scalar(self, found: dict[str, Any], name: str, wire: str, shape: Shape, text: str, timestamps: str) -> None:
        if shape.name in self._habits.as_text:
            found[name] = text
            return
        try:
            found[name] = scalar_from_text(shape, text, timestamps=timestamps)
        except ApiError as error:
            refusal = self._habits.bad_argument(wire, text, error)
            if refusal is not None:
                raise refusal from error

    def _payload(self, shape: Shape, body: bytes) -> Any:
        if isinstance(shape, StructureShape):
            return self._structure(shape, body) if body else None
        if shape.type_name == "blob":
            return body or None
        try:
            return body.decode() if body else None
        except UnicodeDecodeError as error:
            raise self._habits.malformed("no UTF-8") from error

    def _structure(self, shape: StructureShape, body: bytes) -> dict[str, Any]:
        try:
            return xml_body.structure_of(shape, xml_body.read(body))
        except (Malformed, ApiError) as error:
            raise self._habits.malformed(str(error)) from error


def error_of(model: ServiceModel | None, error: ApiError, *more: tuple[str, str]) -> tuple[int, str]:
    """Status, and what stands in the element Error; `more` are elements at its end."""
    shape = error_shape(model, error.code) if model is not None else None
    modelled = None if shape is None else shape.metadata.get("error", {}).get("httpStatusCode")
    parts = [("Code", error.code)]
    if error.message is not None:
        parts.append(("Message", error.message))
    parts += [(name, _plain(value)) for name, value in error.members.items() if value is not None]
    content = "".join(xml_body.element(name, text) for name, text in (*parts, *more))
    return error.status or modelled or 400, content


def pairs_of(query: str) -> dict[str, list[str]]:
    """Of a query string, in which a plus is a space. Raises `ApiError`."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=FIELDS) if query else []
    except ValueError as error:
        raise ApiError("InvalidURI", "Couldn't parse the specified URI.", status=400) from error
    sent: dict[str, list[str]] = {}
    for key, value in pairs:
        sent.setdefault(key, []).append(value)
    return sent


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _order(shape: StructureShape, first: Sequence[str]) -> list[str]:
    """Flattened lists last, as AWS has them; else the order of the model."""
    rest = [name for name in shape.members if name not in first]
    return [*first, *sorted(rest, key=lambda name: bool(shape.members[name].serialization.get("flattened")))]


def _namespace(model: ServiceModel) -> str:
    return S3_NAMESPACE if model.service_name == "s3" else str(model.metadata.get("xmlNamespace", ""))


S3_NAMESPACE: Final = "http://s3.amazonaws.com/doc/2006-03-01/"


def _payload_body(
    shape: Shape, places: Bindings, value: Any
) -> tuple[bytes | FileRange | AsyncIterator[bytes], tuple[tuple[str, str], ...]]:
    if isinstance(shape, StructureShape):
        root = shape.serialization.get("name") or places.payload or shape.name
        content = "" if value is None else "".join(xml_body.members_xml(shape, value))
        return xml_body.document(root, S3_NAMESPACE, content), (CONTENT_TYPE,)
    if value is None:
        return b"", ()
    if isinstance(value, str):
        return value.encode(), ()
    return value, ()


def _header_text(shape: Shape, value: Any) -> str:
    if isinstance(shape, ListShape):
        return ",".join(scalar_to_text(shape.member, item, timestamps="rfc822") for item in value)
    return scalar_to_text(shape, value, timestamps="rfc822")
