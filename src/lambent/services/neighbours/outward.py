"""Calls from moto's process to services of the server: the end of them that is in that process. Imports no moto.

What moto would do with queues, functions and buckets in its own memory, where nobody finds it, goes this way. The
server says which calls it makes (`carried`), on behalf of which service of AWS.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from itertools import count
from typing import Any, Final

import msgspec

from lambent.services.neighbours import frames

WAIT_S: Final = 60.0
"""Longer than the server takes to give a call up."""


class Refused(Exception):
    """The service has answered with an error: asking again changes nothing."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class NoAnswer(Exception):
    """The service could not do it now."""


Reply = Future[Mapping[str, Any]]


class Outward:
    """`send` writes one frame; it is called from any thread."""

    def __init__(self, send: Callable[[frames.Head, bytes], None]) -> None:
        self._send = send
        self._numbers = count(1)
        self._waiting: dict[int, Reply] = {}
        self._request = threading.local()

    def serves(self, request: frames.Head) -> None:
        """For the calls of this thread from now on: they are part of this request, and carry on its chain."""
        self._request.region = request["region"]
        self._request.trace_header = request["headers"].get("x-amzn-trace-id")

    @property
    def region(self) -> str:
        """Of the request that this thread serves; imports and exports go on in threads of their own."""
        return getattr(self._request, "region", "us-east-1")

    def begin(
        self,
        service: str,
        operation: str,
        parameters: Mapping[str, Any],
        *,
        account: str,
        region: str,
        principal: str,
        source_arn: str,
    ) -> Reply:
        """A call in `account`, by the service `principal` (or a role that it uses) for the resource `source_arn`."""
        number, reply = next(self._numbers), Reply()
        self._waiting[number] = reply
        head = {
            "call": number,
            "service": service,
            "operation": operation,
            "account": account,
            "region": region,
            "principal": principal,
            "source": source_arn,
            "trace_header": getattr(self._request, "trace_header", None),
        }
        self._send(head, msgspec.msgpack.encode(parameters))
        return reply

    def answered(self, head: frames.Head, body: bytes) -> None:
        """The server has answered one of them."""
        reply = self._waiting.pop(head["called"])
        failure = head.get("failure")
        if failure == "refused":
            reply.set_exception(Refused(head["code"], head["message"]))
        elif failure is not None:
            reply.set_exception(NoAnswer(head["message"]))
        else:
            reply.set_result(msgspec.msgpack.decode(body))


def failures(replies: Iterable[Reply]) -> list[Refused | None]:
    """Wait for all of them. Raises `NoAnswer` when one could not be done, once all are over."""
    found: list[Refused | None] = []
    unanswered: NoAnswer | None = None
    for reply in replies:
        error = reply.exception(WAIT_S)
        if isinstance(error, NoAnswer):
            unanswered = error
        elif error is not None and not isinstance(error, Refused):
            raise error
        found.append(error if isinstance(error, Refused) else None)
    if unanswered is not None:
        raise unanswered
    return found
