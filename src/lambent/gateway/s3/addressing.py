"""From a host and a path to a bucket and a key. Pure.

A path is decoded once and never tidied: keys hold slashes, dots and percent signs as they like. Bucket names may
hold dots, so in a host name everything before the last label `s3` is one.
"""

import re
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from lambent.aws.errors import ApiError

KEY_BYTES: Final = 1024
_SERVICE: Final = re.compile(r"s3(?:[.-][a-z0-9.-]*)?\.[a-z0-9-]+")
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


class Address(NamedTuple):
    bucket: str | None
    key: str | None
    """None where the address is the bucket's; a key is never empty."""
    by_host: bool


def bucket_of_host(host: str) -> str | None:
    """The bucket that a `Host` header names, with or without its port; None for path style."""
    name = host.rpartition(":")[0] if ":" in host else host
    name = name.lower()
    if _SERVICE.fullmatch(name):
        return None
    # The last `.s3.` or `.s3-` divides; names of buckets may hold one too.
    at = max(name.rfind(".s3."), name.rfind(".s3-"))
    if at > 0:
        return name[:at]
    return name.removesuffix(".localhost") if name.endswith(".localhost") else None


def is_of_s3(host: str) -> bool:
    """Whether the name alone says that S3 is meant: `s3.localhost`, `bucket.s3.localhost`."""
    name = host.rpartition(":")[0] if ":" in host else host
    name = name.lower()
    return _SERVICE.fullmatch(name) is not None or ".s3." in name or ".s3-" in name


def address_of(host: str, path: str) -> Address:
    """`path` as on the wire. Raises `ApiError` InvalidURI, KeyTooLongError."""
    bucket = bucket_of_host(host)
    rest = path[1:]
    if bucket is None:
        name, _, rest = rest.partition("/")
        bucket = _decoded(name) or None
        by_host = False
    else:
        by_host = True
    key = _decoded(rest)
    check_key(key)
    return Address(bucket, key or None, by_host)


def check_key(key: str) -> None:
    """Raises `ApiError` KeyTooLongError."""
    size = len(key.encode())
    if size > KEY_BYTES:
        members = {"Size": size, "MaxSizeAllowed": KEY_BYTES}
        raise ApiError("KeyTooLongError", "Your key is too long", status=400, members=members)


def may_name_bucket(text: str) -> bool:
    return _BUCKET.fullmatch(text) is not None


def _decoded(text: str) -> str:
    try:
        return unquote_to_bytes(text).decode() if "%" in text else text.encode("latin-1").decode()
    except UnicodeError as error:
        raise ApiError("InvalidURI", "Couldn't parse the specified URI.", status=400) from error
