"""CreateLogStream, DeleteLogStream, DescribeLogStreams."""

from typing import Any

from sqlalchemy import Connection

from lambent.aws.errors import ApiError
from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.core.clock import Clock
from lambent.services.logs.events import LATEST_MS
from lambent.services.logs.lookup import Lookup, no_group, no_stream
from lambent.services.logs.names import Scope, group_of_identifier
from lambent.services.logs.sink import StoreLogSink
from lambent.services.logs.store.groups import find_group
from lambent.services.logs.store.streams import (
    Stream,
    delete_stream,
    list_streams_by_event,
    list_streams_by_name,
    put_stream,
)
from lambent.services.logs.tokens import opaque, parse_opaque, sequence_token
from lambent.store.database import Database

PAGE = 50


class StreamApi:
    def __init__(self, database: Database, clock: Clock, sink: StoreLogSink, lookup: Lookup) -> None:
        self._database = database
        self._clock = clock
        self._sink = sink
        self._lookup = lookup

    def operations(self) -> Operations:
        return {
            "CreateLogStream": self.create_log_stream,
            "DeleteLogStream": self.delete_log_stream,
            "DescribeLogStreams": self.describe_log_streams,
        }

    async def create_log_stream(self, context: CallContext, parameters: Parameters) -> Result:
        scope, group, name = _named(context, parameters)
        now_ms = self._clock.epoch_ms()

        def create(connection: Connection) -> int | None:
            found = find_group(connection, scope, group)
            if found is None:
                raise no_group()
            return put_stream(connection, found.id, name, now_ms, lazy=False)

        await self._lookup.group(scope, group)
        if await self._database.write(create) is None:
            raise ApiError("ResourceAlreadyExistsException", "The specified log stream already exists")
        return {}

    async def delete_log_stream(self, context: CallContext, parameters: Parameters) -> Result:
        scope, group, name = _named(context, parameters)

        def remove(connection: Connection) -> bool:
            found = find_group(connection, scope, group)
            if found is None:
                raise no_group()
            return delete_stream(connection, found.id, name)

        await self._sink.flush()
        if not await self._database.write(remove):
            raise no_stream()
        return {}

    async def describe_log_streams(self, context: CallContext, parameters: Parameters) -> Result:
        scope = Scope(context.account, context.region)
        name = group_of_identifier(scope, parameters.get("logGroupName"), parameters.get("logGroupIdentifier"))
        prefix = parameters.get("logStreamNamePrefix", "")
        by_event = parameters.get("orderBy", "LogStreamName") == "LastEventTime"
        descending, limit = parameters.get("descending", False), parameters.get("limit", PAGE)
        if by_event and prefix:
            raise ApiError("InvalidParameterException", "Cannot order by LastEventTime with a logStreamNamePrefix.")
        token = parameters.get("nextToken")
        await self._sink.flush()
        group = await self._lookup.group(scope, name)
        if by_event:
            fields = None if token is None else parse_opaque(token, int, str)
            after = None if fields is None else (min(fields[0], LATEST_MS), fields[1])
            found = await self._database.read(
                lambda connection: list_streams_by_event(
                    connection, group.id, after=after, descending=descending, limit=limit + 1
                )
            )
        else:
            after_name = None if token is None else parse_opaque(token, str)[0]
            found = await self._database.read(
                lambda connection: list_streams_by_name(
                    connection, group.id, prefix=prefix, after=after_name, descending=descending, limit=limit + 1
                )
            )
        result: dict[str, Any] = {"logStreams": [_shape(scope, name, stream) for stream in found[:limit]]}
        if len(found) > limit:
            last = found[limit - 1]
            result["nextToken"] = opaque(last.last_event_ms or 0, last.name) if by_event else opaque(last.name)
        return result


def _named(context: CallContext, parameters: Parameters) -> tuple[Scope, str, str]:
    return Scope(context.account, context.region), parameters["logGroupName"], parameters["logStreamName"]


def _shape(scope: Scope, group: str, stream: Stream) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "logStreamName": stream.name,
        "creationTime": stream.created_ms,
        "arn": scope.stream_arn(group, stream.name),
        "storedBytes": 0,
    }
    if stream.first_event_ms is not None:
        shape["firstEventTimestamp"] = stream.first_event_ms
        shape["lastEventTimestamp"] = stream.last_event_ms
        shape["lastIngestionTime"] = stream.last_ingestion_ms
        shape["uploadSequenceToken"] = sequence_token(stream.id, stream.last_ingestion_ms or 0)
    return shape
