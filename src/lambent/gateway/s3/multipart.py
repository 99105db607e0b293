"""multipart/form-data as it comes: its fields in memory, with a bound, and its file piece by piece."""

import re
from collections.abc import AsyncIterator
from typing import Final

from lambent.aws.errors import ApiError

FIELDS_BYTES: Final = 65_536
"""Of everything before the file. AWS allows 20 KB of fields; their frames come on top."""
_PARAMETER: Final = re.compile(r';\s*([\w*-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;]*))')


def malformed() -> ApiError:
    text = "The body of your POST request is not well-formed multipart/form-data."
    return ApiError("MalformedPOSTRequest", text, status=400)


class MultipartForm:
    """`read` first, then iterate `content` to its end."""

    def __init__(self, content_type: str, pieces: AsyncIterator[bytes]) -> None:
        """Raises `ApiError` for a type without a boundary."""
        boundary = _parameters(content_type).get("boundary", "")
        if not 0 < len(boundary) <= 70:
            raise malformed()
        self._delimiter = b"\r\n--" + boundary.encode("latin-1")
        self._pieces = pieces
        # The first delimiter has no line before it.
        self._held = b"\r\n"
        self._fields_bytes = 0
        self.fields: dict[str, str] = {}
        """Names in lower case; those before the file."""
        self.filename = ""
        self.has_file = False

    async def read(self) -> None:
        """Until the file begins, or the form ends. Raises `ApiError`."""
        await self._until(self._delimiter)
        while True:
            end = await self._until(b"\r\n")
            if end.startswith(b"--"):
                return
            disposition = await self._disposition()
            name = disposition.get("name", "").lower()
            if name == "file":
                self.filename = _base_name(disposition.get("filename", ""))
                self.has_file = True
                return
            value = await self._until(self._delimiter)
            try:
                self.fields[name] = value.decode()
            except UnicodeDecodeError as error:
                raise malformed() from error

    async def content(self) -> AsyncIterator[bytes]:
        """Of the file; what follows it is read past."""
        keep = len(self._delimiter)
        while (at := self._held.find(self._delimiter)) < 0:
            if len(self._held) > keep:
                ready, self._held = self._held[:-keep], self._held[-keep:]
                yield ready
            if not await self._more():
                raise malformed()
        if at:
            yield self._held[:at]
        self._held = b""
        async for _ in self._pieces:
            pass

    async def _disposition(self) -> dict[str, str]:
        found: dict[str, str] = {}
        while line := await self._until(b"\r\n"):
            name, _, value = line.decode("utf-8", "replace").partition(":")
            if name.strip().lower() == "content-disposition":
                found = _parameters(value)
        return found

    async def _until(self, end: bytes) -> bytes:
        start = 0
        while (at := self._held.find(end, start)) < 0:
            start = max(0, len(self._held) - len(end))
            if len(self._held) + self._fields_bytes > FIELDS_BYTES:
                text = "Your POST request fields preceding the upload file were too large."
                raise ApiError("MaxPostPreDataLengthExceeded", text, status=400)
            if not await self._more():
                raise malformed()
        found, self._held = self._held[:at], self._held[at + len(end) :]
        self._fields_bytes += at + len(end)
        return found

    async def _more(self) -> bool:
        async for piece in self._pieces:
            if piece:
                self._held += piece
                return True
        return False


def _parameters(header: str) -> dict[str, str]:
    found = {}
    for match in _PARAMETER.finditer(header):
        quoted, plain = match[2], match[3]
        value = plain.strip() if quoted is None else quoted.replace('\\"', '"').replace("%22", '"')
        found[match[1].lower()] = value
    return found


def _base_name(name: str) -> str:
    """Without the folders that some browsers send."""
    return name.replace("\\", "/").rpartition("/")[2]
