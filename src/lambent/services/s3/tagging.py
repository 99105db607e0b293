"""Tags of objects: as a header and as a list, with AWS's limits and texts. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl

from lambent.services.s3.errors import error, invalid_argument

MOST: Final = 10
_ALLOWED: Final = re.compile(r"[\w\s.:/=+\-@]*")


def from_header(text: str | None) -> dict[str, str]:
    if not text:
        return {}
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors="strict")
    except (ValueError, UnicodeDecodeError):
        raise _malformed(text) from None
    tags = dict(pairs)
    if len(tags) != len(pairs):
        raise _malformed(text)
    check(tags)
    return tags


def from_list(tags: Sequence[Mapping[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for tag in tags:
        if tag["Key"] in found:
            raise error("InvalidTag", "Cannot provide multiple Tags with the same key", 400, TagKey=tag["Key"])
        found[tag["Key"]] = tag.get("Value", "")
    check(found)
    return found


def check(tags: Mapping[str, str]) -> None:
    if len(tags) > MOST:
        raise error("BadRequest", f"Object tags cannot be greater than {MOST}", 400)
    for key, value in tags.items():
        if not 1 <= len(key) <= 128 or not _ALLOWED.fullmatch(key):
            raise error("InvalidTag", "The TagKey you have provided is invalid", 400, TagKey=key)
        if key.lower().startswith("aws:"):
            raise error("InvalidTag", "Your TagKey cannot be prefixed with aws:", 400, TagKey=key)
        if len(value) > 256 or not _ALLOWED.fullmatch(value):
            raise error("InvalidTag", "The TagValue you have provided is invalid", 400, TagKey=key, TagValue=value)


def as_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _malformed(text: str) -> Exception:
    said = (
        "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name"
        " duplicates."
    )
    return invalid_argument(said, "x-amz-tagging", text)
