"""The event of an asynchronous invocation, and how it stands in the queue: small state beside an untouched payload."""

from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from lambent.functions.records import LATEST, FunctionKey
from lambent.invocation.retry import Progress
from lambent.store.messages import Listed, NewMessage

QUEUE: Final = "events"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An accepted event, with what became of it so far."""

    account: str
    region: str
    name: str
    qualifier: str | None
    """As the caller named it; None: not at all."""
    request_id: str
    """The same for all attempts."""
    trace_header: str
    accepted_ms: int
    attempts: int = 0
    refusals: int = 0
    tenant_id: str | None = None
    refused_status: int | None = None
    """429 or 500 of the last attempt that the function did not see."""
    last_error: str = ""
    """Of the last attempt, for people."""

    @property
    def key(self) -> FunctionKey:
        return FunctionKey(self.account, self.region, self.name)

    @property
    def lane(self) -> str:
        return lane_of(self.key)

    @property
    def configured_as(self) -> str:
        """The qualifier under which its configuration is attached."""
        return self.qualifier or LATEST

    @property
    def target_arn(self) -> str:
        """With a qualifier always, as destinations get it."""
        return f"{self.key.arn}:{self.configured_as}"

    @property
    def progress(self) -> Progress:
        return Progress(self.accepted_ms, self.attempts, self.refusals)

    def message(self, payload: bytes, visible_ms: int) -> NewMessage:
        return NewMessage(queue=QUEUE, lane=self.lane, visible_ms=visible_ms, state=encode(self), body=payload)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingEvent:
    """An accepted event as it is shown."""

    request_id: str
    qualifier: str | None
    status: Literal["queued", "running", "retry"]
    accepted_ms: int
    next_ms: int | None
    """When it is attempted next, or may be; None while it runs."""
    attempts: int
    """Invocations that ended in an error."""
    refusals: int
    """Throttles and failures of the server since then."""
    last_error: str
    size_bytes: int
    tenant_id: str | None = None


def shown(row: Listed, *, running: bool) -> WaitingEvent:
    event = decode(row.state)
    retried = bool(event.attempts or event.refusals)
    return WaitingEvent(
        request_id=event.request_id,
        qualifier=event.qualifier,
        status="running" if running else "retry" if retried else "queued",
        accepted_ms=event.accepted_ms,
        # What is taken comes as soon as there is room, whatever the time until which it is hidden.
        next_ms=None if running else event.accepted_ms if row.taken else row.visible_ms,
        attempts=event.attempts,
        refusals=event.refusals,
        last_error=event.last_error,
        size_bytes=row.size_bytes,
        tenant_id=event.tenant_id,
    )


def lane_of(key: FunctionKey) -> str:
    return f"{key.account}/{key.region}/{key.name}"


def key_of(lane: str) -> FunctionKey:
    return FunctionKey(*lane.split("/", 2))


def encode(event: Event) -> str:
    return msgspec.json.encode(event).decode()


decode = msgspec.json.Decoder(Event).decode
