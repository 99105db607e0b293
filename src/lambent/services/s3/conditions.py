"""Conditional requests and ranges, as pure decisions. Dates are compared by the second, as HTTP does."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import formatdate
from typing import Any, Final

from lambent.aws.errors import ApiError
from lambent.services.s3.errors import error, invalid_request, no_such_key, not_implemented, precondition_failed
from lambent.services.s3.records import ObjectVersion

_RANGE: Final = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)
_WRONG_VALUE: Final = "We don't accept the provided value of {} header for this API"


def quoted(etag: str) -> str:
    return f'"{etag}"'


def same_etag(sent: str, etag: str) -> bool:
    return any(each.strip() in ("*", etag, quoted(etag)) for each in sent.split(","))


def seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def check_read(version: ObjectVersion, asked: Mapping[str, Any], now_ms: int) -> None:
    """Of GET and HEAD. Raises PreconditionFailed 412, or the 304 with its headers."""
    modified = version.modified_ms // 1000
    if (match := asked.get("IfMatch")) is not None:
        if not same_etag(match, version.etag):
            raise precondition_failed("If-Match")
    elif (since := asked.get("IfUnmodifiedSince")) is not None and modified > seconds(since):
        raise precondition_failed("If-Unmodified-Since")
    if (none := asked.get("IfNoneMatch")) is not None:
        if same_etag(none, version.etag):
            raise _not_modified(version)
    elif (since := asked.get("IfModifiedSince")) is not None and modified <= seconds(since) <= now_ms // 1000:
        raise _not_modified(version)


def check_source(version: ObjectVersion, asked: Mapping[str, Any]) -> None:
    """Of the source of a copy: any that does not hold is a 412."""
    modified = version.modified_ms // 1000
    if (match := asked.get("CopySourceIfMatch")) is not None:
        if not same_etag(match, version.etag):
            raise precondition_failed("x-amz-copy-source-If-Match")
    elif (since := asked.get("CopySourceIfUnmodifiedSince")) is not None and modified > seconds(since):
        raise precondition_failed("x-amz-copy-source-If-Unmodified-Since")
    if (none := asked.get("CopySourceIfNoneMatch")) is not None:
        if same_etag(none, version.etag):
            raise precondition_failed("x-amz-copy-source-If-None-Match")
    elif (since := asked.get("CopySourceIfModifiedSince")) is not None and modified <= seconds(since):
        raise precondition_failed("x-amz-copy-source-If-Modified-Since")


def check_wish(asked: Mapping[str, Any]) -> None:
    """Before a body is read: the conditions of a write that AWS does not know. Raises NotImplemented 501."""
    match, none = asked.get("IfMatch"), asked.get("IfNoneMatch")
    if match is not None and none is not None:
        raise not_implemented("If-Match,If-None-Match", "Multiple conditional request headers present in the request")
    if none is not None and none != "*":
        raise not_implemented("If-None-Match", _WRONG_VALUE.format("If-None-Match"))
    if match == "*":
        raise not_implemented("If-Match", _WRONG_VALUE.format("If-Match"))


def check_write(key: str, current: ObjectVersion | None, asked: Mapping[str, Any]) -> None:
    """In the transaction of a write. Raises PreconditionFailed, and NoSuchKey where there is nothing to match."""
    there = current is not None and not current.marker
    if asked.get("IfNoneMatch") is not None and there:
        raise precondition_failed("If-None-Match")
    if (match := asked.get("IfMatch")) is not None:
        if current is None or current.marker:
            raise no_such_key(key)
        if not same_etag(match, current.etag):
            raise precondition_failed("If-Match")


def check_delete(current: ObjectVersion | None, match: str | None) -> None:
    if match is not None and current is not None and not current.marker and not same_etag(match, current.etag):
        raise precondition_failed("If-Match")


@dataclass(frozen=True, slots=True)
class Span:
    """Which bytes are asked for; `whole`: the reply is a 200."""

    offset: int
    length: int
    whole: bool

    def content_range(self, size: int) -> str:
        return f"bytes {self.offset}-{self.offset + self.length - 1}/{size}"


def span_of(asked: str | None, size: int) -> Span:
    """What is no range is passed over. Raises InvalidRange 416 for one that begins behind the end."""
    found = None if asked is None else _RANGE.fullmatch(asked.strip())
    if found is None or asked is None or found.groups() == ("", ""):
        return Span(0, size, whole=True)
    first, last = found.groups()
    if first and last and int(last) < int(first):
        return Span(0, size, whole=True)
    if not first:
        length = min(int(last), size)
        if length == 0:
            raise _unsatisfiable(asked, size)
        return Span(size - length, length, whole=False)
    start = int(first)
    if start >= size:
        raise _unsatisfiable(asked, size)
    end = min(int(last), size - 1) if last else size - 1
    return Span(start, end - start + 1, whole=False)


def refuse_range_of_part(asked: Mapping[str, Any]) -> None:
    if asked.get("Range") is not None and asked.get("PartNumber") is not None:
        raise invalid_request("Cannot specify both Range header and partNumber query parameter")


def invalid_part_number(number: int, count: int) -> ApiError:
    text = "The requested partnumber is not satisfiable"
    return error("InvalidPartNumber", text, 416, PartNumberRequested=number, ActualPartCount=count)


def _unsatisfiable(asked: str, size: int) -> ApiError:
    refused = error(
        "InvalidRange",
        "The requested range is not satisfiable",
        416,
        RangeRequested=asked,
        ActualObjectSize=size,
    )
    refused.headers["Content-Range"] = f"bytes */{size}"
    return refused


def _not_modified(version: ObjectVersion) -> ApiError:
    headers = {"ETag": quoted(version.etag), "Last-Modified": http_date(version.modified_ms)}
    return ApiError("NotModified", "Not Modified", status=304, headers=headers)


def http_date(at_ms: int) -> str:
    return formatdate(at_ms // 1000, usegmt=True)
