"""CreateEventSourceMapping."""

from functools import partial

from sqlalchemy import Connection

from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.core.ids import uuid4
from lambent.event_sources import store
from lambent.event_sources.api.parts import Parts, function_of
from lambent.event_sources.api.shapes import configuration
from lambent.event_sources.api.validation import NewMapping, already_mapped, validated
from lambent.event_sources.records import EventSourceMapping
from lambent.functions.api.validation import check_tags


def operations(parts: Parts) -> Operations:
    return {"CreateEventSourceMapping": partial(create_event_source_mapping, parts)}


async def create_event_source_mapping(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    function = function_of(parts, context, parameters["FunctionName"])
    new = NewMapping(context.account, context.region, uuid4(), parts.now())
    mapping = validated(parameters, function, new, parts.quotas)
    check_tags(mapping.tags, parts.quotas)
    assert function is not None
    await parts.sources.check(mapping, function)

    def decide(connection: Connection) -> EventSourceMapping:
        refuse_duplicate(connection, mapping)
        return mapping

    return configuration(await parts.changes.commit(decide))


def refuse_duplicate(connection: Connection, mapping: EventSourceMapping) -> None:
    for other in store.of_function(connection, mapping.account, mapping.region, mapping.function_name):
        if (error := already_mapped(mapping, other)) is not None:
            raise error
