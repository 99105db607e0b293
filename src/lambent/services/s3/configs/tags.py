"""Tags of buckets and objects: AWS's rules for both, in XML and in the header. Pure."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from lambent.aws.errors import ApiError
from lambent.services.s3.errors import error, invalid_argument

MAX_OF_BUCKET: Final = 50
MAX_OF_OBJECT: Final = 10
MAX_KEY: Final = 128
MAX_VALUE: Final = 256
_ALLOWED: Final = re.compile(r"[\w\s.:/=+\-@]*")
_OBJECT_SYSTEM: Final = "Your TagKey cannot be prefixed with aws:"
_BUCKET_SYSTEM: Final = "System tags cannot be added/updated by requester"
_HEADER: Final = (
    "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name"
    " duplicates."
)


def of_bucket(tag_set: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    return _checked(tag_set, MAX_OF_BUCKET, "Bucket tag count cannot be greater than 50", _BUCKET_SYSTEM)


def of_object(tag_set: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    return _checked(tag_set, MAX_OF_OBJECT, "Object tags cannot be greater than 10", _OBJECT_SYSTEM)


def of_header(text: str | None) -> dict[str, str]:
    """`x-amz-tagging: k=v&k2=v2`."""
    if not text:
        return {}
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors="strict")
    except ValueError:
        raise invalid_argument(_HEADER, "x-amz-tagging", text) from None
    if len(dict(pairs)) != len(pairs) or any(not key for key, _ in pairs):
        raise invalid_argument(_HEADER, "x-amz-tagging", text)
    return of_object({"Key": key, "Value": value} for key, value in pairs)


def tag_set(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _checked(given: Iterable[Mapping[str, Any]], most: int, too_many: str, system: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for tag in given:
        key, value = tag.get("Key") or "", tag.get("Value") or ""
        if key in found:
            raise _invalid("Cannot provide multiple Tags with the same key", TagKey=key)
        if key.lower().startswith("aws:"):
            raise _invalid(system, TagKey=key)
        if not 1 <= len(key) <= MAX_KEY or not _ALLOWED.fullmatch(key):
            raise _invalid("The TagKey you have provided is invalid", TagKey=key)
        if len(value) > MAX_VALUE or not _ALLOWED.fullmatch(value):
            raise _invalid("The TagValue you have provided is invalid", TagKey=key, TagValue=value)
        found[key] = value
    if len(found) > most:
        raise error("BadRequest", too_many, 400)
    return found


def _invalid(message: str, **members: str) -> ApiError:
    return error("InvalidTag", message, 400, **members)
