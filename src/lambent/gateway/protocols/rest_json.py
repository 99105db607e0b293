"""rest-json: path, query and headers carry the members that the model binds there; the body carries the rest."""

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson

from lambent.aws.errors import ApiError
from lambent.aws.shapes import ListShape, MapShape, OperationModel, ServiceModel, Shape, StructureShape
from lambent.gateway.http import HttpRequest, HttpResponse
from lambent.gateway.protocols import json_body
from lambent.gateway.protocols.errors import describe
from lambent.gateway.protocols.shapes import Bindings, bad_value, bindings, scalar_from_text, scalar_to_text

CONTENT_TYPE = ("Content-Type", "application/json")
NO_BODY = (204, 304)


class RestJson:
    def parse(self, operation: OperationModel, request: HttpRequest, labels: Mapping[str, str]) -> dict[str, Any]:
        shape = operation.input_shape
        if shape is None:
            return {}
        places = bindings(shape)
        found: dict[str, Any] = {}
        for name, member in places.uri.items():
            found[name] = scalar_from_text(member, labels[places.wire_names[name]], timestamps="iso8601")
        if places.query:
            found.update(_query(places, request.query))
        if places.header or places.header_prefix:
            found.update(_headers(places, request.headers))
        if places.payload is not None:
            payload = _payload(shape.members[places.payload], request.body)
            if payload is not None:
                found[places.payload] = payload
        elif places.body:
            found.update(json_body.parse_members(request.body, places.body))
        # The model's order, so that the short ways and every caller see one form.
        return {name: found[name] for name in shape.members if name in found}

    def serialise(self, operation: OperationModel, result: Mapping[str, Any], request_id: str = "") -> HttpResponse:
        status: int = operation.http.get("responseCode", 200)
        headers = [CONTENT_TYPE]
        shape = operation.output_shape
        if shape is None:
            return HttpResponse(status, headers, b"" if status in NO_BODY else b"{}")
        places = bindings(shape)
        body: dict[str, Any] = {}
        payload: bytes | None = None
        for name, value in result.items():
            member = shape.members[name]
            if value is None:
                continue
            if name == places.status:
                status = value
            elif name == places.payload:
                payload = _payload_bytes(member, value)
            elif name in places.header:
                headers.append((places.wire_names[name], _header_text(member, value)))
            elif name in places.header_prefix:
                prefix = places.wire_names[name]
                headers.extend((prefix + key, text) for key, text in value.items())
            else:
                body[places.wire_names[name]] = json_body.document_of(value, member)
        if places.payload is not None:
            return HttpResponse(status, headers, payload or b"")
        return HttpResponse(status, headers, b"" if status in NO_BODY else json_body.dump(body))

    def serialise_error(self, model: ServiceModel | None, error: ApiError, request_id: str = "") -> HttpResponse:
        reply = describe(model, error)
        headers = (CONTENT_TYPE, ("x-amzn-ErrorType", reply.code), *reply.headers)
        return HttpResponse(reply.status, headers, json_body.dump(reply.members))


def _query(places: Bindings, query: str) -> dict[str, Any]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=1000) if query else []
    except ValueError as error:
        raise bad_value("Query string is not valid") from error
    sent: dict[str, list[str]] = {}
    for key, value in pairs:
        sent.setdefault(key, []).append(value)
    found: dict[str, Any] = {}
    maps = []
    for name, member in places.query.items():
        if isinstance(member, MapShape):
            maps.append((name, member))
            continue
        values = sent.get(places.wire_names[name])
        if values is None:
            continue
        if isinstance(member, ListShape):
            found[name] = [scalar_from_text(member.member, value, timestamps="iso8601") for value in values]
        else:
            found[name] = scalar_from_text(member, values[-1], timestamps="iso8601")
    for name, member in maps:
        # A map takes every key that no other member has taken.
        taken = {places.wire_names[other] for other in places.query if other != name}
        rest = {key: values for key, values in sent.items() if key not in taken}
        if rest:
            many = isinstance(member.value, ListShape)
            found[name] = {key: values if many else values[-1] for key, values in rest.items()}
    return found


def _headers(places: Bindings, headers: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, member in places.header.items():
        text = headers.get(places.wire_names[name].lower())
        if text is not None:
            found[name] = _header_value(member, text)
    for name in places.header_prefix:
        prefix = places.wire_names[name].lower()
        taken = {key[len(prefix) :]: text for key, text in headers.items() if key.startswith(prefix)}
        if taken:
            found[name] = taken
    return found


def _header_value(shape: Shape, text: str) -> Any:
    if isinstance(shape, ListShape):
        parts = [part.strip() for part in text.split(",")]
        return [scalar_from_text(shape.member, part, timestamps="rfc822") for part in parts if part]
    if shape.serialization.get("jsonvalue"):
        try:
            return orjson.loads(base64.b64decode(text, validate=True))
        except ValueError as error:
            raise bad_value("Header is not base64 of JSON") from error
    return scalar_from_text(shape, text, timestamps="rfc822")


def _header_text(shape: Shape, value: Any) -> str:
    if isinstance(shape, ListShape):
        return ",".join(scalar_to_text(shape.member, item, timestamps="rfc822") for item in value)
    if shape.serialization.get("jsonvalue"):
        return base64.b64encode(orjson.dumps(value)).decode("ascii")
    return scalar_to_text(shape, value, timestamps="rfc822")


def _payload(shape: Shape, body: bytes) -> Any:
    """An empty body is an absent payload: botocore sends nothing for either."""
    if not body:
        return None
    if isinstance(shape, StructureShape):
        return json_body.parse_structure(body, shape)
    if shape.type_name == "string":
        try:
            return body.decode()
        except UnicodeDecodeError as error:
            raise bad_value("Payload is not UTF-8") from error
    return body


def _payload_bytes(shape: Shape, value: Any) -> bytes:
    if isinstance(shape, StructureShape):
        return json_body.dump(json_body.document_of(value, shape))
    return value.encode() if isinstance(value, str) else bytes(value)
