"""Packages in JSON, taken out before the parser sees them.

A parser makes text of 70 MB and then bytes of it, each in one call that holds the interpreter for a tenth of a second.
Here a document loses its long strings first, and these are decoded piece by piece, so that a thread which does it lets
others run in between. It gives what the parser would give, or None: whatever is unusual or wrong is for the parser.
"""

import binascii
import io
import re
from collections.abc import Collection
from typing import Any, Final

import orjson

from lambent.core.ids import uuid4

LARGE_BYTES: Final = 1024 * 1024
"""Of a document: below it, the parser takes no time that anybody notices."""
LONG_BYTES: Final = 256 * 1024
"""Of a string that is taken out."""
MOST_STRINGS: Final = 5000
STEP_BYTES: Final = 192 * 1024
"""Of base64, in one call: 0.3 ms. A multiple of four."""
_WITH_ESCAPES: Final = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


class Blob:
    """A long string without escapes, in the place where it stood."""

    __slots__ = ("_text", "used")

    def __init__(self, text: memoryview) -> None:
        self._text = text
        self.used = False
        """Somebody has asked what it is."""

    def decoded(self) -> bytes:
        """Raises `binascii.Error` for what is not base64."""
        self.used = True
        text, decoded = self._text, io.BytesIO()
        for at in range(0, len(text), STEP_BYTES):
            part = binascii.a2b_base64(text[at : at + STEP_BYTES], strict_mode=True)
            if at + STEP_BYTES < len(text) and len(part) != STEP_BYTES // 4 * 3:
                raise binascii.Error("padding before the end")
            decoded.write(part)
        # Not copied: it is the buffer itself.
        return decoded.getvalue()


def document_with_blobs(body: bytes) -> tuple[Any, Collection[Blob]] | None:
    """The document with a `Blob` for each long string, and these; None when it is one for the parser."""
    spans = _long_strings(body)
    if not spans:
        return None
    name, whole = uuid4(), memoryview(body)
    pieces: list[bytes | memoryview] = []
    blobs: dict[str, Blob] = {}
    at = 0
    for start, end in spans:
        mark = f"{name}/{start}"
        blobs[mark] = Blob(whole[start:end])
        pieces += (whole[at:start], mark.encode())
        at = end
    try:
        return _put_back(orjson.loads(b"".join([*pieces, whole[at:]])), blobs), blobs.values()
    except (orjson.JSONDecodeError, RecursionError):
        return None


def _long_strings(body: bytes) -> list[tuple[int, int]] | None:
    """Where they begin and end, between their quotes."""
    found: list[tuple[int, int]] = []
    at = 0
    for _ in range(MOST_STRINGS):
        start = body.find(b'"', at)
        if start < 0:
            return found
        end = body.find(b'"', start + 1)
        if body.find(b"\\", start, end) >= 0:
            string = _WITH_ESCAPES.match(body, start, start + LONG_BYTES)
            if string is None:
                return None
            end = string.end() - 1
        elif end - start > LONG_BYTES:
            found.append((start + 1, end))
        if end < 0:
            return None
        at = end + 1
    return None


def _put_back(value: Any, blobs: dict[str, Blob]) -> Any:
    if isinstance(value, dict):
        return {key: _put_back(item, blobs) for key, item in value.items()}
    if isinstance(value, list):
        return [_put_back(item, blobs) for item in value]
    return blobs.get(value, value) if isinstance(value, str) else value
