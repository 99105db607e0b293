"""The record of a service: its name, its model, and the operations that are built.

A handler gets the call's context and the parsed parameters, keyed by the model's member names (blobs as `bytes`,
timestamps as aware `datetime`), and returns the output members in the same form. It raises `ApiError` for the
caller's mistakes. Validation against the model has happened before it runs.
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, NamedTuple, TypeVar

from msgspec import Struct

from lambent.aws.buckets import Buckets

Parameters = Mapping[str, Any]
Result = Mapping[str, Any]
T = TypeVar("T")

RESPONSE_STATUS = "@status"
"""Key of a result under which a handler may put the status, where the model knows another one."""
RESPONSE_HEADERS = "@headers"
"""Key of a result under which a handler may put headers that the model does not know: names to values, both text."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls. `arn` as STS GetCallerIdentity would print it."""

    account: str
    arn: str
    access_key_id: str


ANYONE: Final = Identity("anonymous", "anonymous", "")
"""Who has signed nothing. Only S3 lets him reach a handler."""


class Source(NamedTuple):
    """For which resource a service calls: what policies know as aws:SourceArn and aws:SourceAccount."""

    arn: str
    account: str


class CallContext(Struct, frozen=True):
    """What a handler may know of a call. All state is keyed by (account, region)."""

    account: str
    region: str
    request_id: str
    identity: Identity
    base_url: str
    """Scheme, host and port by which the client reached us, for URLs in replies; no trailing slash."""
    trace_header: str | None = None
    """`X-Amzn-Trace-Id` as sent by the caller."""
    source: Source | None = None
    """Of a call by a service of ours; the identity is the service then."""
    source_ip: str = ""
    """Empty for a caller of this process."""
    conditions: Callable[[], Mapping[str, str]] = dict
    """What the wire knows of the request and policies may ask for, by condition key: `aws:Referer`, `s3:authType`."""
    by_form: bool = False
    """A PutObject of S3 that a web page has sent as a form."""


class Promised(Generic[T]):
    """A result that somebody else sets into `future`, so that no coroutine and no task has to wait for it.

    Awaitable like any other; who wants no task asks `future` to call back, and then for `result`.
    """

    __slots__ = ("_made_of", "future")

    def __init__(self, future: asyncio.Future[T], made_of: Callable[[T], Result]) -> None:
        self.future = future
        self._made_of = made_of

    def result(self) -> Result:
        """Once `future` is done. Raises what it holds."""
        return self._made_of(self.future.result())

    def __await__(self) -> Generator[Any, None, Result]:
        return self._made_of((yield from self.future.__await__()))


Handler = Callable[[CallContext, Parameters], Awaitable[Result]]
"""One that is not a coroutine function has done what needs no waiting when it returns, and may raise at once."""
Operations = Mapping[str, Handler]


@dataclass(frozen=True, slots=True)
class Service:
    """`name` is botocore's name of the service; `operations` maps the model's operation names to handlers.

    `partial` tells, by operation, the members that are refused because their effect does not exist yet. The other
    operations of a `shared` service are answered by the neighbour. The payload of the operations that `streamed` names
    is an `aws.streams.Upload`, read by the handler; a result's payload may be a `FileRange` or an async iterator.
    The handlers of those that are `waiting` are cancelled when their client is gone.
    """

    name: str
    operations: Operations
    partial: Callable[[], Mapping[str, Sequence[str]]] = dict
    shared: bool = False
    streamed: frozenset[str] = frozenset()
    waiting: frozenset[str] = frozenset()
    buckets: Buckets | None = None
    """Of S3 alone."""

    def leaves(self, operation: str) -> bool:
        """Whether it is the neighbour that answers it."""
        return self.shared and operation not in self.operations
