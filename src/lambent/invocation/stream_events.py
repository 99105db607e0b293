"""A streamed response as the events of InvokeWithResponseStream: its chunks, then how it ended."""

import base64
from collections.abc import Mapping
from typing import Any

from lambent.aws.errors import ApiError, PlatformFault
from lambent.invocation.stream import Stream

Event = Mapping[str, Mapping[str, Any]]


class StreamEvents:
    """An async iterator, for the gateway. Raises ApiError when the platform, not the function, failed in the middle."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._over = False

    def __aiter__(self) -> "StreamEvents":
        return self

    async def __anext__(self) -> Event:
        if self._over:
            raise StopAsyncIteration
        data = await self._stream.next()
        if data is not None:
            return {"PayloadChunk": {"Payload": data}}
        self._over = True
        return {"InvokeComplete": await self._complete()}

    async def _complete(self) -> Mapping[str, str]:
        try:
            result = await self._stream.result()
        except PlatformFault as error:
            raise ApiError("ServiceException", "The invocation was cut off.", status=500) from error
        complete = {}
        if result.error_type is not None:
            # As of Invoke, where the header says the same of every error.
            complete = {"ErrorCode": "Unhandled", "ErrorDetails": result.payload.decode("utf-8", "replace")}
        if result.log_tail is not None:
            complete["LogResult"] = base64.b64encode(result.log_tail).decode()
        return complete

    async def aclose(self) -> None:
        self._stream.leave()
