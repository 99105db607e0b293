"""query: parameters are fields of a form, `Tags.member.1.Key=a`; replies and errors are XML.

The form's names become a tree once, and the shapes are read from it. A list's members are in the order of their
numbers, whatever the numbers are. An empty value of a list is an empty list.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl

from lambent.aws.errors import ApiError
from lambent.aws.shapes import ListShape, MapShape, OperationModel, ServiceModel, Shape, StructureShape
from lambent.gateway.http import HttpRequest, HttpResponse
from lambent.gateway.protocols.errors import describe, error_shape
from lambent.gateway.protocols.escaping import escape
from lambent.gateway.protocols.shapes import (
    bad_value,
    scalar_from_text,
    scalar_to_text,
    timestamp_format,
    timestamp_to_text,
    wire_name,
)

CONTENT_TYPE: Final = ("Content-Type", "text/xml")
FIELDS: Final = 10_000
_DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'
_VALUE: Final = ""
"""Key of a field's own text in the tree; no part of a name is empty."""
_UNSAYABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_REFERENCES: Final = {'"': "&quot;", "\r": "&#xD;"}
_DEEPEST: Final = 32

Tree = dict[str, Any]


def fields_of(request: HttpRequest) -> dict[str, str]:
    """The form of a POST, or the query of a GET. Raises `ApiError`."""
    text = request.body.decode("utf-8", "replace") if request.body else request.query
    try:
        return dict(parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=FIELDS))
    except ValueError as error:
        raise bad_value("The form is not valid") from error


class Query:
    def parse(self, operation: OperationModel, request: HttpRequest, labels: Mapping[str, str]) -> dict[str, Any]:
        return parameters_of(operation, fields_of(request))

    def serialise(self, operation: OperationModel, result: Mapping[str, Any], request_id: str = "") -> HttpResponse:
        name = operation.name
        content = result_xml(operation, result)
        space = operation.service_model.metadata.get("xmlNamespace", "")
        metadata = f"<ResponseMetadata><RequestId>{escape(request_id)}</RequestId></ResponseMetadata>"
        text = f'{_DECLARATION}<{name}Response xmlns="{space}">{content}{metadata}</{name}Response>'
        return HttpResponse(200, (CONTENT_TYPE,), text.encode())

    def serialise_error(self, model: ServiceModel | None, error: ApiError, request_id: str = "") -> HttpResponse:
        reply = describe(model, error)
        shape = None if model is None else error_shape(model, error.code)
        code = reply.code if shape is None else shape.error_code or reply.code
        fault = "Receiver" if reply.status >= 500 else "Sender"
        parts = [element("Type", fault), element("Code", code), element("Message", error.message or "")]
        if shape is not None:
            given = {name: value for name, value in error.members.items() if name.lower() != "message"}
            parts += _members_xml(shape, given)
        text = f"{_DECLARATION}<ErrorResponse><Error>{''.join(parts)}</Error></ErrorResponse>"
        return HttpResponse(reply.status, (CONTENT_TYPE, *reply.headers), text.encode())


def parameters_of(operation: OperationModel, fields: Mapping[str, str]) -> dict[str, Any]:
    shape = operation.input_shape
    return {} if shape is None else _structure(shape, _tree(fields))


def result_xml(operation: OperationModel, result: Mapping[str, Any]) -> str:
    """The element that holds what the operation returns; nothing where it returns nothing."""
    shape = operation.output_shape
    if shape is None:
        return ""
    wrapper = shape.serialization.get("resultWrapper", f"{operation.name}Result")
    content = "".join(_members_xml(shape, result))
    return f"<{wrapper}>{content}</{wrapper}>" if content else f"<{wrapper}/>"


def _tree(fields: Mapping[str, str]) -> Tree:
    root: Tree = {}
    for name, text in fields.items():
        parts = name.split(".")
        if len(parts) > _DEEPEST or not all(parts):
            raise bad_value(f"'{name[:200]}' is not the name of a parameter")
        node = root
        for part in parts:
            node = node.setdefault(part, {})
        node[_VALUE] = text
    return root


def _structure(shape: StructureShape, tree: Tree) -> dict[str, Any]:
    found = {}
    for name, member in shape.members.items():
        node = tree.get(_field_name(member, name))
        if node is not None:
            found[name] = _value(member, node)
    return found


def _field_name(member: Shape, name: str) -> str:
    if isinstance(member, ListShape) and member.serialization.get("flattened"):
        # A flattened list takes the name of its members, where they have one.
        return wire_name(member.member, wire_name(member, name))
    return wire_name(member, name)


def _value(shape: Shape, node: Tree) -> Any:
    if isinstance(shape, StructureShape):
        return _structure(shape, node)
    if isinstance(shape, ListShape):
        inner = node if shape.serialization.get("flattened") else node.get(wire_name(shape.member, "member"), {})
        return [_value(shape.member, item) for item in _numbered(inner)]
    if isinstance(shape, MapShape):
        inner = node if shape.serialization.get("flattened") else node.get("entry", {})
        key, value = wire_name(shape.key, "key"), wire_name(shape.value, "value")
        entries = _numbered(inner)
        if any(key not in entry or value not in entry for entry in entries):
            raise bad_value("An entry of a map has a key and a value")
        return {_value(shape.key, entry[key]): _value(shape.value, entry[value]) for entry in entries}
    if _VALUE not in node:
        raise bad_value("Start of structure or map found where not expected.")
    return scalar_from_text(shape, node[_VALUE], timestamps="iso8601")


def _numbered(node: Tree) -> list[Tree]:
    found = []
    for part, item in node.items():
        if part == _VALUE:
            continue
        if not (part.isascii() and part.isdigit() and len(part) < 10):
            raise bad_value(f"'{part[:100]}' is not the number of a member")
        found.append((int(part), item))
    return [item for _, item in sorted(found, key=lambda pair: pair[0])]


def _members_xml(shape: StructureShape, value: Mapping[str, Any]) -> Iterator[str]:
    for name, item in value.items():
        if item is not None:
            member = shape.members[name]
            yield from _xml(_field_name(member, name), member, item)


def _xml(tag: str, shape: Shape, value: Any) -> Iterator[str]:
    if isinstance(shape, StructureShape):
        yield f"<{tag}>{''.join(_members_xml(shape, value))}</{tag}>"
    elif isinstance(shape, ListShape):
        if shape.serialization.get("flattened"):
            for item in value:
                yield from _xml(tag, shape.member, item)
        else:
            inner = wire_name(shape.member, "member")
            yield f"<{tag}>{''.join(part for item in value for part in _xml(inner, shape.member, item))}</{tag}>"
    elif isinstance(shape, MapShape):
        entries = [
            "".join(
                (
                    *_xml(wire_name(shape.key, "key"), shape.key, key),
                    *_xml(wire_name(shape.value, "value"), shape.value, item),
                )
            )
            for key, item in value.items()
        ]
        if shape.serialization.get("flattened"):
            yield from (f"<{tag}>{entry}</{tag}>" for entry in entries)
        else:
            yield f"<{tag}>{''.join(f'<entry>{entry}</entry>' for entry in entries)}</{tag}>"
    elif isinstance(value, datetime):
        yield element(tag, timestamp_to_text(value, timestamp_format(shape, "iso8601")))
    else:
        yield element(tag, scalar_to_text(shape, value, timestamps="iso8601"))


def xml_text(text: str) -> str:
    """What XML 1.0 cannot say at all is a replacement character."""
    return _UNSAYABLE.sub("\ufffd", text)


def element(tag: str, text: str) -> str:
    # A carriage return that is not written as a reference would be read as a line feed.
    return f"<{tag}>{escape(xml_text(text), _REFERENCES)}</{tag}>"
