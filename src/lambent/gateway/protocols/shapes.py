"""What every protocol needs of the model's shapes: where members travel, and scalars as text.

A protocol module walks values in its own format; it asks here where a member sits in the HTTP message and how a
timestamp or number of a given shape looks in a path, a query or a header.
"""

import base64
import binascii
import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any, Final

from lambent.aws.errors import ApiError
from lambent.aws.shapes import Shape, StructureShape

INT32: Final = range(-(2**31), 2**31)
INT64: Final = range(-(2**63), 2**63)


def bad_value(message: str) -> ApiError:
    """The bytes on the wire cannot become the type that the model wants."""
    return ApiError("SerializationException", message, status=400)


@dataclass(frozen=True, slots=True)
class Bindings:
    """Members of a structure by their place in the HTTP message: `member name -> shape`."""

    uri: Mapping[str, Shape] = field(default_factory=dict)
    query: Mapping[str, Shape] = field(default_factory=dict)
    header: Mapping[str, Shape] = field(default_factory=dict)
    header_prefix: Mapping[str, Shape] = field(default_factory=dict)
    status: str | None = None
    payload: str | None = None
    body: Mapping[str, Shape] = field(default_factory=dict)
    wire_names: Mapping[str, str] = field(default_factory=dict)


@functools.cache
def bindings(shape: StructureShape) -> Bindings:
    places: dict[str, dict[str, Shape]] = {p: {} for p in ("uri", "querystring", "header", "headers", "body")}
    names: dict[str, str] = {}
    status = None
    payload = shape.serialization.get("payload")
    for name, member in shape.members.items():
        place = member.serialization.get("location", "body")
        names[name] = member.serialization.get("name", name)
        if place == "statusCode":
            status = name
        elif name != payload:
            places[place][name] = member
    return Bindings(
        uri=places["uri"],
        query=places["querystring"],
        header=places["header"],
        header_prefix=places["headers"],
        status=status,
        payload=payload,
        body=places["body"],
        wire_names=names,
    )


def wire_name(member: Shape, name: str) -> str:
    """The name of a member on the wire (`locationName`, the model's jsonName), else its own."""
    found: str = member.serialization.get("name", name)
    return found


def timestamp_format(shape: Shape, default: str) -> str:
    found: str = shape.serialization.get("timestampFormat", default)
    return found.lower()


def timestamp_from_text(text: str, format_name: str) -> datetime:
    try:
        if format_name == "unixtimestamp":
            return timestamp_from_number(float(text))
        moment = parsedate_to_datetime(text) if format_name == "rfc822" else datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError, IndexError, TypeError) as error:
        raise bad_value(f"'{text}' is not a valid timestamp") from error


def timestamp_from_number(number: float) -> datetime:
    try:
        return datetime.fromtimestamp(number, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise bad_value(f"'{number}' is not a valid timestamp") from error


def timestamp_to_text(moment: datetime, format_name: str) -> str:
    moment = moment.astimezone(UTC)
    if format_name == "unixtimestamp":
        return str(timestamp_to_number(moment))
    if format_name == "rfc822":
        return format_datetime(moment, usegmt=True)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{moment.microsecond:06d}Z" if moment.microsecond else f"{text}Z"


def timestamp_to_number(moment: datetime) -> int | float:
    seconds = moment.timestamp()
    return int(seconds) if seconds.is_integer() else round(seconds, 6)


def scalar_from_text(shape: Shape, text: str, *, timestamps: str) -> Any:
    """A value from a path, a query or a header. Raises `ApiError` SerializationException."""
    kind = shape.type_name
    if kind in ("string", "character"):
        return text
    if kind in ("integer", "long", "short", "byte"):
        return _whole(text, INT64 if kind == "long" else INT32)
    if kind == "boolean":
        if text in ("true", "false"):
            return text == "true"
        raise bad_value(f"'{text}' can not be converted to a Boolean")
    if kind in ("double", "float"):
        return _real(text)
    if kind == "timestamp":
        return timestamp_from_text(text, timestamp_format(shape, timestamps))
    if kind == "blob":
        return blob_from_text(text)
    raise bad_value(f"{kind} is not expected here")


def scalar_to_text(shape: Shape, value: Any, *, timestamps: str) -> str:
    """The reverse of `scalar_from_text`."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return timestamp_to_text(value, timestamp_format(shape, timestamps))
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    return str(value)


def blob_from_text(text: str) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise bad_value("Blob is not valid base64") from error


def _whole(text: str, allowed: range) -> int:
    # int() takes underscores, blanks and digits of other scripts.
    digits = text[1:] if text[:1] in ("-", "+") else text
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 20:
        raise bad_value(f"'{text[:100]}' can not be converted to an Integer")
    number = int(text)
    if number not in allowed:
        raise bad_value(f"'{text}' is out of range")
    return number


def _real(text: str) -> float:
    try:
        number = float(text) if "_" not in text else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise bad_value(f"'{text[:100]}' can not be converted to a Double")
    return number
