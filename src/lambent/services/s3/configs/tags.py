"""Tags of buckets: AWS's rules for them. Pure."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from lambent.aws.errors import ApiError
from lambent.services.s3.errors import error

MOST: Final = 50
_ALLOWED: Final = re.compile(r"[\w\s.:/=+\-@]*")


def checked(tag_set: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    found: dict[str, str] = {}
    for tag in tag_set:
        key, value = tag.get("Key") or "", tag.get("Value") or ""
        if key in found:
            raise _invalid("Cannot provide multiple Tags with the same key", TagKey=key)
        if key.lower().startswith("aws:"):
            raise _invalid("System tags cannot be added/updated by requester", TagKey=key)
        if not 1 <= len(key) <= 128 or not _ALLOWED.fullmatch(key):
            raise _invalid("The TagKey you have provided is invalid", TagKey=key)
        if len(value) > 256 or not _ALLOWED.fullmatch(value):
            raise _invalid("The TagValue you have provided is invalid", TagKey=key, TagValue=value)
        found[key] = value
    if len(found) > MOST:
        raise error("BadRequest", f"Bucket tag count cannot be greater than {MOST}", 400)
    return [{"Key": key, "Value": value} for key, value in found.items()]


def _invalid(message: str, **members: str) -> ApiError:
    return error("InvalidTag", message, 400, **members)
