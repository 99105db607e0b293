"""JSON values by shape: what rest-json and json share. Bytes in, parameters out, and back.

Types are strict, as at AWS: a string where the model has a number is a SerializationException; a member that the
model does not know is skipped; null is as good as absent.
"""

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import orjson

from lambent.aws.errors import ApiError
from lambent.aws.shapes import ListShape, MapShape, Shape, StructureShape
from lambent.gateway.protocols.large_blobs import LARGE_BYTES, Blob, document_with_blobs
from lambent.gateway.protocols.shapes import (
    INT32,
    INT64,
    bad_value,
    blob_from_text,
    timestamp_format,
    timestamp_from_number,
    timestamp_from_text,
    timestamp_to_number,
    timestamp_to_text,
    wire_name,
)

_WHOLE: Final = {"integer": INT32, "long": INT64, "short": INT32, "byte": INT32}


def load(body: bytes) -> Any:
    """Any JSON document. Raises `ApiError` SerializationException."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise bad_value(f"Could not parse request body into json: {error}") from error


def parse_members(body: bytes, members: Mapping[str, Shape]) -> dict[str, Any]:
    """The members of a JSON object; an empty body is an empty object."""
    if len(body) > LARGE_BYTES and (parsed := _with_blobs(body, members)) is not None:
        return parsed
    document = load(body) if body.strip() else {}
    if not isinstance(document, dict):
        raise misplaced(document)
    try:
        return _members(document, members)
    except RecursionError as error:
        raise bad_value("Document is nested too deeply") from error


def _with_blobs(body: bytes, members: Mapping[str, Shape]) -> dict[str, Any] | None:
    """The same where all long strings are blobs of the model; None, and no error, where they are not."""
    taken_out = document_with_blobs(body)
    if taken_out is None or not isinstance(taken_out[0], dict):
        return None
    document, blobs = taken_out
    try:
        parsed = _members(document, members)
    except (ApiError, ValueError, RecursionError):
        return None
    return parsed if all(blob.used for blob in blobs) else None


def parse_structure(body: bytes, shape: StructureShape) -> dict[str, Any]:
    return parse_members(body, shape.members)


def _members(document: dict[str, Any], members: Mapping[str, Shape]) -> dict[str, Any]:
    parsed = {}
    for name, member in members.items():
        value = document.get(wire_name(member, name))
        if value is not None:
            parsed[name] = _value(value, member)
    return parsed


def _value(value: Any, shape: Shape) -> Any:
    if isinstance(shape, StructureShape):
        if shape.metadata.get("document"):
            return value
        if not isinstance(value, dict):
            raise misplaced(value)
        return _members(value, shape.members)
    if isinstance(shape, ListShape):
        if not isinstance(value, list):
            raise misplaced(value)
        return [None if item is None else _value(item, shape.member) for item in value]
    if isinstance(shape, MapShape):
        if not isinstance(value, dict):
            raise misplaced(value)
        return {key: None if item is None else _value(item, shape.value) for key, item in value.items()}
    return scalar(value, shape)


def scalar(value: Any, shape: Shape) -> Any:
    kind = shape.type_name
    if kind in ("string", "character"):
        if isinstance(value, str):
            return value
    elif kind == "boolean":
        if isinstance(value, bool):
            return value
    elif kind in _WHOLE:
        if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool):
            if value in _WHOLE[kind]:
                return value
            raise bad_value(f"{value} is out of range")
    elif kind in ("double", "float"):
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    elif kind == "timestamp":
        if isinstance(value, int | float) and not isinstance(value, bool):
            return timestamp_from_number(value)
        if isinstance(value, str):
            return timestamp_from_text(value, timestamp_format(shape, "iso8601"))
    elif kind == "blob":
        if isinstance(value, str):
            return blob_from_text(value)
        if isinstance(value, Blob):
            return value.decoded()
    if isinstance(value, dict | list):
        raise misplaced(value)
    article = "an" if kind == "integer" else "a"
    raise bad_value(f"{_json_kind(value)} can not be converted to {article} {kind.capitalize()}")


def misplaced(value: Any) -> Exception:
    if isinstance(value, dict):
        return bad_value("Start of structure or map found where not expected.")
    if isinstance(value, list):
        return bad_value("Start of list found where not expected")
    return bad_value("Unexpected field type")


def _json_kind(value: Any) -> str:
    if isinstance(value, bool):
        return "TRUE_VALUE" if value else "FALSE_VALUE"
    return "STRING_VALUE" if isinstance(value, str) else "NUMBER_VALUE"


def dump(document: Any) -> bytes:
    return orjson.dumps(document)


def document_of(value: Any, shape: Shape) -> Any:
    """A value of a handler as JSON can hold it. A member that the model does not know is a bug: `KeyError`."""
    if isinstance(shape, StructureShape):
        if shape.metadata.get("document"):
            return value
        return members_of(value, shape.members)
    if isinstance(shape, ListShape):
        return [document_of(item, shape.member) for item in value]
    if isinstance(shape, MapShape):
        return {key: document_of(item, shape.value) for key, item in value.items()}
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, datetime):
        format_name = timestamp_format(shape, "unixtimestamp")
        if format_name == "unixtimestamp":
            return timestamp_to_number(value)
        return timestamp_to_text(value, format_name)
    return value


def members_of(value: Mapping[str, Any], members: Mapping[str, Shape]) -> dict[str, Any]:
    document = {}
    for name, item in value.items():
        member = members[name]
        if item is not None:
            document[wire_name(member, name)] = document_of(item, member)
    return document
