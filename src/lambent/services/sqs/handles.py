"""Receipt handles: which message of which queue, as what receive of it, and when that was.

Nothing is looked up to read one, and it outlives a restart. It is no secret: who holds it has asked the queue's policy
before; the digest is there to tell a handle from garbage.
"""

import binascii
import struct
from base64 import b64decode, b64encode
from hashlib import blake2b
from typing import Final, NamedTuple

_FORM: Final = struct.Struct(">3sQQIQ")
_MARK: Final = b"\x01\x04\x01"
"""Handles of AWS begin with AQ, too."""
_DIGEST: Final = 16


class Receipt(NamedTuple):
    queue_id: int
    message: int
    takes: int
    taken_ms: int


def handle_of(receipt: Receipt) -> str:
    packed = _FORM.pack(_MARK, *receipt)
    return b64encode(packed + blake2b(packed, digest_size=_DIGEST).digest()).decode()


def receipt_of(handle: str) -> Receipt | None:
    """None: it is none of ours."""
    try:
        packed = b64decode(handle, validate=True)
    except (binascii.Error, ValueError):
        return None
    body, digest = packed[: _FORM.size], packed[_FORM.size :]
    if len(body) != _FORM.size or blake2b(body, digest_size=_DIGEST).digest() != digest:
        return None
    mark, *fields = _FORM.unpack(body)
    return Receipt(*fields) if mark == _MARK else None
