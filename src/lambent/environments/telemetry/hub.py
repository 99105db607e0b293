"""The subscribers of one environment: each gets the events of its types, in the form of its schema version.

Made when the first one subscribes. An event is written once for each schema version that somebody uses.
"""

from collections.abc import Callable, Iterable
from typing import Any

import orjson

from lambent.core.clock import Clock
from lambent.environments.events import ColdStart, LogsDropped, Start, SubscriptionKind
from lambent.environments.telemetry.backlog import Backlog
from lambent.environments.telemetry.delivery import Connect
from lambent.environments.telemetry.memory import Memory
from lambent.environments.telemetry.schemas import About, Schema, Surrounding, iso, platform_events
from lambent.environments.telemetry.subscriber import Subscriber
from lambent.environments.telemetry.subscription import Refused, Subscription

SLOW = "Some logs were dropped because the downstream consumer is slower than the logs production rate"

Kept = Iterable[tuple[str, int, Any]]
"""(category, time, record) of an Init."""


class Hub:
    def __init__(
        self,
        about: About,
        clock: Clock,
        memory: Memory,
        connect: Connect,
        dropped: Callable[[LogsDropped], None],
    ) -> None:
        self._about = about
        self._clock = clock
        self._memory = memory
        self._connect = connect
        self._report_dropped = dropped
        self._told = Surrounding()
        self._frozen = False
        self.subscribers: dict[str, Subscriber] = {}
        """By the name of the extension."""
        self._suspended: dict[str, Subscriber] = {}

    def cold_start(self, event: ColdStart) -> None:
        self._told.cold = event

    def subscribe(self, name: str, kind: SubscriptionKind, subscription: Subscription, kept: Kept) -> str:
        """`kept` is what happened in this Init so far: the new subscriber is told of it."""
        old = self.subscribers.get(name)
        if old is not None:
            previous = old.subscription.schema.kind
            if previous is not kind:
                api = "LogsAPI" if previous is SubscriptionKind.LOGS else "TelemetryAPI"
                message = f"The extension {name} is already subscribed to the {api}. "
                raise Refused(
                    400, "AccessDenied", message + "You must either subscribe to the LogsAPI or the TelemetryAPI"
                )
            if old.subscription == subscription:
                return "AlreadySubscribed"
        new = Subscriber(
            name,
            subscription,
            clock=self._clock,
            connect=self._connect,
            memory=self._memory,
            dropped=self._drop,
        )
        if old is not None:
            self._replace(old, new.backlog)
        else:
            if (before := self._suspended.pop(name, None)) is not None:
                self._replace(before, new.backlog)
            for category, time_ms, record in kept:
                self._add(new, category, self._events(subscription.schema, category, time_ms, record))
        self.subscribers[name] = new
        new.start()
        # What it was given before it ran has no alarm yet.
        new.wake()
        if self._frozen:
            new.freeze()
        return "OK"

    def _replace(self, old: Subscriber, backlog: Backlog) -> None:
        old.close()
        old.backlog.move_to(backlog, self._clock.monotonic())

    def tell(self, category: str, time_ms: int, record: Any) -> None:
        written: dict[Schema, list[bytes]] = {}
        for subscriber in self.subscribers.values():
            schema = subscriber.subscription.schema
            if category not in subscriber.subscription.types:
                continue
            if category != "platform" and subscriber.backlog.full:
                # A flood is not even written down for who cannot follow.
                subscriber.backlog.drop(1, len(record))
                continue
            if (events := written.get(schema)) is None:
                events = written[schema] = self._events(schema, category, time_ms, record)
            self._add(subscriber, category, events)
        if isinstance(record, Start):
            self._told.trace_header = record.trace_header

    def _add(self, subscriber: Subscriber, category: str, events: list[bytes]) -> None:
        if category in subscriber.subscription.types:
            for event in events:
                subscriber.add(event)

    def _events(self, schema: Schema, category: str, time_ms: int, record: Any) -> list[bytes]:
        if category == "platform":
            events = platform_events(record, self._about, schema, self._told)
        else:
            events = [(category, self._line(schema, record))]
        time = iso(time_ms)
        return [_written({"time": time, "type": name, "record": value}) for name, value in events]

    def _line(self, schema: Schema, line: str) -> Any:
        if self._about.json_lines and schema.objects and line.startswith("{"):
            try:
                record = orjson.loads(line)
            except orjson.JSONDecodeError:
                return line
            if isinstance(record, dict):
                return record
        return line

    def _drop(self, subscriber: Subscriber) -> None:
        if (dropped := subscriber.backlog.take_dropped()) is not None:
            self._report_dropped(
                LogsDropped(
                    time_ms=self._clock.epoch_ms(),
                    dropped_records=dropped.records,
                    dropped_bytes=dropped.bytes,
                    reason=SLOW,
                )
            )

    # Phases of the environment

    def suspend(self) -> None:
        """The processes are new: who wants more subscribes again, and gets what was not delivered."""
        for subscriber in self.subscribers.values():
            subscriber.close()
        self._suspended |= self.subscribers
        self.subscribers = {}

    def forget_suspended(self) -> None:
        for subscriber in self._suspended.values():
            subscriber.backlog.clear()
        self._suspended = {}

    def freeze(self) -> None:
        self._frozen = True
        for subscriber in self.subscribers.values():
            subscriber.freeze()

    def thaw(self) -> None:
        self._frozen = False
        for subscriber in self.subscribers.values():
            subscriber.thaw()

    def flush(self) -> None:
        for subscriber in self.subscribers.values():
            subscriber.flush()

    def close(self) -> None:
        for subscriber in self.subscribers.values():
            subscriber.close()
            subscriber.backlog.clear()
        self.subscribers = {}
        self.forget_suspended()


def _written(event: dict[str, Any]) -> bytes:
    # A copy, since orjson's own result keeps the 4 KB that it was written in as long as it lives.
    return memoryview(orjson.dumps(event)).tobytes()
