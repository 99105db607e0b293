"""A streamed response as the reply of a function URL: a prelude becomes status and headers, the rest is the body.

The prelude is what the integrations of AWS's runtimes write before the body: JSON and eight NULs, announced by a
content type of its own. Without it the reply is a 200 of the runtime's content type.
"""

from typing import Final

from lambent.aws.errors import CutOff, PlatformFault
from lambent.invocation.stream import Stream
from lambent.invocation.url_response import NO_BODY, Malformed, UrlResponse, failed, head_of

PRELUDE_TYPE: Final = "application/vnd.awslambda.http-integration-response"
MAX_PRELUDE_BYTES: Final = 65_536
_SEPARATOR: Final = b"\x00" * 8
_OCTETS: Final = "application/octet-stream"


class UrlBody:
    """An async iterator, for the gateway; its first bytes are there at once, also when they are none."""

    def __init__(self, stream: Stream, first: bytes) -> None:
        self._stream = stream
        self._first: bytes | None = first

    def __aiter__(self) -> "UrlBody":
        return self

    async def __anext__(self) -> bytes:
        """Raises CutOff when the function, or the platform, failed in the middle."""
        if self._first is not None:
            first, self._first = self._first, None
            return first
        data = await self._stream.next()
        if data is not None:
            return data
        try:
            result = await self._stream.result()
        except PlatformFault as error:
            raise CutOff from error
        if result.error_type is not None:
            raise CutOff
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self._stream.leave()


async def reply_of(stream: Stream) -> UrlResponse:
    """As soon as status and headers are known. Raises as `Stream.begun`."""
    head = await stream.begun()
    if head is None:
        return failed()
    if head.content_type.partition(";")[0].strip().lower() != PRELUDE_TYPE:
        return UrlResponse(200, [("Content-Type", head.content_type or _OCTETS)], UrlBody(stream, b""))
    try:
        prelude, first = await _prelude(stream)
        response = head_of(prelude, _OCTETS)
    except Malformed:
        stream.leave()
        return failed()
    if response.status in NO_BODY:
        stream.leave()
        return response
    return UrlResponse(response.status, response.headers, UrlBody(stream, first))


async def _prelude(stream: Stream) -> tuple[bytes, bytes]:
    """The prelude without its end, and what of the body came with it. Raises Malformed."""
    data = bytearray()
    searched = 0
    while (end := data.find(_SEPARATOR, searched)) < 0:
        searched = max(0, len(data) - len(_SEPARATOR))
        if len(data) > MAX_PRELUDE_BYTES or (more := await stream.next()) is None:
            raise Malformed
        data += more
    return bytes(data[:end]), bytes(data[end + len(_SEPARATOR) :])
