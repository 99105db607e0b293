"""PutLogEvents, GetLogEvents, FilterLogEvents."""

import asyncio
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection

from lambent.aws.errors import ApiError
from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.core.clock import Clock
from lambent.services.logs.accept import decide
from lambent.services.logs.chunk import encode, printable
from lambent.services.logs.events import LATEST_MS, LogEvent, Pending, position
from lambent.services.logs.filter_pattern import FilterPattern, parse
from lambent.services.logs.lookup import Lookup, no_stream
from lambent.services.logs.names import Scope, group_of_identifier
from lambent.services.logs.read import PAGE_EVENTS, Page, read_page
from lambent.services.logs.retention import Retention
from lambent.services.logs.store.append import Batch, Place, StreamKey, append_to
from lambent.services.logs.store.groups import Group
from lambent.services.logs.store.scan import Selection, Window
from lambent.services.logs.tokens import (
    Bound,
    invalid_token,
    opaque,
    page_tokens,
    parse_bound,
    parse_opaque,
    sequence_token,
)
from lambent.services.logs.unflushed import Unflushed
from lambent.store.database import Database

DESCENDING_FROM_MS = 1_704_067_200_000
"""2024-01-01: FilterLogEvents goes backwards no further."""


class EventApi:
    def __init__(
        self,
        database: Database,
        clock: Clock,
        unflushed: Unflushed,
        lookup: Lookup,
        retention: Retention,
        stored: Callable[[int], None],
    ) -> None:
        self._database = database
        self._clock = clock
        self._unflushed = unflushed
        self._lookup = lookup
        self._retention = retention
        self._stored = stored

    def operations(self) -> Operations:
        return {
            "PutLogEvents": self.put_log_events,
            "GetLogEvents": self.get_log_events,
            "FilterLogEvents": self.filter_log_events,
        }

    async def put_log_events(self, context: CallContext, parameters: Parameters) -> Result:
        scope, name = Scope(context.account, context.region), parameters["logGroupName"]
        events = [(event["timestamp"], event["message"]) for event in parameters["logEvents"]]
        group, stream = await self._lookup.stream(scope, name, parameters["logStreamName"])
        now_ms = self._clock.epoch_ms()
        accepted = decide(events, now_ms=now_ms, expired_before_ms=self._expired_before(group))
        if accepted.first < accepted.end:
            pending = [
                Pending(stamp, next(self._unflushed.sequence), message)
                for stamp, message in events[accepted.first : accepted.end]
            ]
            packed = await asyncio.to_thread(encode, pending, now_ms)
            batch = Batch(StreamKey(scope, name, stream.name), Place(group.id, stream.id), now_ms, packed)
            if not await self._database.write(lambda connection: append_to(connection, batch)):
                raise no_stream()
            self._stored(batch.disk_bytes)
        result: dict[str, Any] = {"nextSequenceToken": sequence_token(stream.id, now_ms)}
        if accepted.rejected:
            result["rejectedLogEventsInfo"] = accepted.rejected
        if parameters.get("entity"):
            # Entities are not kept; AWS accepts the events and says why the entity was not.
            result["rejectedEntityInfo"] = {"errorType": "UnsupportedLogGroupType"}
        return result

    async def get_log_events(self, context: CallContext, parameters: Parameters) -> Result:
        scope = Scope(context.account, context.region)
        name = group_of_identifier(scope, parameters.get("logGroupName"), parameters.get("logGroupIdentifier"))
        token = parameters.get("nextToken")
        asked = None if token is None else parse_bound(token)
        group, stream = await self._lookup.stream(scope, name, parameters["logStreamName"])
        low = max(position(_time(parameters.get("startTime", 0)), 0), position(self._expired_before(group), 0))
        high = position(_time(parameters.get("endTime", LATEST_MS)), 0) - 1
        if asked is None:
            window = Window(low, high, forward=parameters.get("startFromHead", False))
        elif asked.forward:
            window = Window(max(low, asked.position + 1), high, forward=True)
        else:
            window = Window(low, min(high, asked.position - 1), forward=False)
        selection = Selection(group.id, names=(stream.name,))
        page = await self._page(scope, group, selection, window, FilterPattern(), parameters.get("limit"))
        events = page.events if window.forward else page.events[::-1]
        # With nothing found and no token, both tokens stand at the beginning: later events are ahead of it.
        tokens = page_tokens([event.position for event in events], asked or Bound(True, max(low - 1, 0)))
        return {
            "events": [
                {"timestamp": event.timestamp_ms, "message": event.message, "ingestionTime": event.ingested_ms}
                for event in events
            ],
            "nextForwardToken": tokens.forward,
            "nextBackwardToken": tokens.backward,
        }

    async def filter_log_events(self, context: CallContext, parameters: Parameters) -> Result:
        scope = Scope(context.account, context.region)
        name = group_of_identifier(scope, parameters.get("logGroupName"), parameters.get("logGroupIdentifier"))
        names, prefix = tuple(parameters.get("logStreamNames", ())), parameters.get("logStreamNamePrefix", "")
        if names and prefix:
            raise ApiError(
                "InvalidParameterException", "logStreamNames and logStreamNamePrefix are mutually exclusive parameters."
            )
        pattern = parse(parameters.get("filterPattern", ""))
        forward = parameters.get("startFromHead", True)
        start_ms = parameters.get("startTime")
        if not forward and start_ms is not None and start_ms < DESCENDING_FROM_MS:
            raise ApiError(
                "InvalidParameterException",
                "startFromHead can be false only when startTime is on or after January 1, 2024 00:00:00 UTC.",
            )
        group = await self._lookup.group(scope, name)
        low = max(position(_time(start_ms or 0), 0), position(self._expired_before(group), 0))
        # `endTime` is inclusive here, unlike in GetLogEvents.
        high = position(_time(parameters.get("endTime", LATEST_MS - 1)) + 1, 0) - 1
        if "nextToken" in parameters:
            at, way = parse_opaque(parameters["nextToken"], int, str)
            if way not in ("f", "b"):
                raise invalid_token()
            forward = way == "f"
            low, high = (max(low, at + 1), high) if forward else (low, min(high, at - 1))
        for stream in names:
            await self._lookup.stream(scope, name, stream)
        selection = Selection(group.id, names, prefix)
        window = Window(low, high, forward=forward)
        page = await self._page(scope, group, selection, window, pattern, parameters.get("limit"))
        result: dict[str, Any] = {
            "events": [
                {
                    "logStreamName": event.stream,
                    "timestamp": event.timestamp_ms,
                    "message": event.message,
                    "ingestionTime": event.ingested_ms,
                    "eventId": event.event_id,
                }
                for event in page.events
            ],
            "searchedLogStreams": [],
        }
        if page.stopped_at is not None:
            result["nextToken"] = opaque(page.stopped_at, "f" if forward else "b")
        return result

    async def _page(
        self,
        scope: Scope,
        group: Group,
        selection: Selection,
        window: Window,
        pattern: FilterPattern,
        limit: int | None,
    ) -> Page:
        # Memory first, the store second: an event that moves between the two is then seen twice, never missed.
        tails = [
            (tail.key.stream, tail.pending())
            for tail in self._unflushed.in_group(scope, group.name)
            if selection.takes(tail.key.stream)
        ]

        def read(connection: Connection) -> Page:
            pending = [_unstored(stream, event) for stream, events in tails for event in events]
            return read_page(connection, selection, window, pending, pattern.matches, limit or PAGE_EVENTS)

        return await self._database.read(read)

    def _expired_before(self, group: Group) -> int:
        return self._retention.expired_before_ms(group.retention_days, self._clock.epoch_ms())


def _unstored(stream: str, event: Pending) -> LogEvent:
    """An event as it will be once it is stored; an environment's output came in at its own time."""
    return LogEvent(event.timestamp_ms, event.sequence, printable(event.message), event.timestamp_ms, stream)


def _time(value_ms: int) -> int:
    return min(value_ms, LATEST_MS)
