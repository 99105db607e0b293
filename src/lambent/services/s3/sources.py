"""The source of a copy: which object `x-amz-copy-source` names, and whether it may be copied. Pure."""

import re
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_plus

from lambent.aws.errors import ApiError
from lambent.services.s3.errors import invalid_argument, invalid_request

_RANGE: Final = re.compile(r"bytes=(\d+)-(\d+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Source:
    bucket: str
    key: str
    version_id: str | None


def source_of(text: Any) -> Source:
    """Also of the form of a model's caller, a structure with Bucket and Key. Raises InvalidArgument."""
    path, mark, query = str(text).partition("?versionId=")
    bucket, slash, key = unquote_plus(path).removeprefix("/").partition("/")
    if not bucket or not slash or not key or bucket.startswith("arn:"):
        raise invalid_argument("Invalid copy source object key", "x-amz-copy-source", text)
    return Source(bucket, key, unquote_plus(query) if mark else None)


def as_source(refused: ApiError, version_id: str | None) -> ApiError:
    """What a refusal to read is called where the object is the source of a copy."""
    if refused.code == "MethodNotAllowed" and version_id is not None:
        text = "The source of a copy request may not specifically refer to a delete marker by version id."
        return invalid_request(text)
    refused.headers.clear()
    return refused


def part_of(asked: str | None, size: int) -> tuple[int, int]:
    """Offset and length of what is copied as a part."""
    if asked is None:
        return 0, size
    found = _RANGE.fullmatch(asked)
    if found is None or int(found[1]) > int(found[2]):
        text = (
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the"
            " zero-based offsets of the first and last bytes to copy"
        )
        raise invalid_argument(text, "x-amz-copy-source-range", asked)
    first, last = int(found[1]), int(found[2])
    if first >= size:
        raise invalid_request("The specified copy range is invalid for the source object size")
    if last >= size:
        text = f"Range specified is not valid for source object of size: {size}"
        raise invalid_argument(text, "x-amz-copy-source-range", asked)
    return first, last - first + 1
