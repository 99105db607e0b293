"""The record of a service: its name, its model, and the operations that are built.

A handler gets the call's context and the parsed parameters, keyed by the model's member names (blobs as `bytes`,
timestamps as aware `datetime`), and returns the output members in the same form. It raises `ApiError` for the
caller's mistakes. Validation against the model has happened before it runs.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Parameters = Mapping[str, Any]
Result = Mapping[str, Any]

RESPONSE_HEADERS = "@headers"
"""Key of a result under which a handler may put headers that the model does not know: names to values, both text."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls. `arn` as STS GetCallerIdentity would print it."""

    account: str
    arn: str
    access_key_id: str


class CallContext(NamedTuple):
    """What a handler may know of a call. All state is keyed by (account, region)."""

    account: str
    region: str
    request_id: str
    identity: Identity
    base_url: str
    """Scheme, host and port by which the client reached us, for URLs in replies; no trailing slash."""
    trace_header: str | None = None
    """`X-Amzn-Trace-Id` as sent by the caller."""


Handler = Callable[[CallContext, Parameters], Awaitable[Result]]
Operations = Mapping[str, Handler]


@dataclass(frozen=True, slots=True)
class Service:
    """`name` is botocore's name of the service; `operations` maps the model's operation names to handlers.

    `partial` names, by operation, the members that are refused because their effect does not exist yet. The other
    operations of a `shared` service are answered by the neighbour.
    """

    name: str
    operations: Operations
    partial: Mapping[str, Sequence[str]] = field(default_factory=dict)
    shared: bool = False
