"""UpdateEventSourceMapping and DeleteEventSourceMapping."""

from dataclasses import replace
from functools import partial

from sqlalchemy import Connection

from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.event_sources import store
from lambent.event_sources.api.create import refuse_duplicate
from lambent.event_sources.api.parts import Parts, changeable, function_of, key_of
from lambent.event_sources.api.shapes import configuration
from lambent.event_sources.api.validation import revised
from lambent.event_sources.records import EventSourceMapping, State, moved
from lambent.event_sources.sources import SOURCES


def operations(parts: Parts) -> Operations:
    return {
        "UpdateEventSourceMapping": partial(update_event_source_mapping, parts),
        "DeleteEventSourceMapping": partial(delete_event_source_mapping, parts),
    }


async def update_event_source_mapping(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    key = key_of(context, parameters["UUID"])
    changeable(parts.read_model.get(key), "update")
    name = parameters.get("FunctionName")
    function = None if name is None else function_of(parts, context, name)

    def decide(connection: Connection) -> EventSourceMapping:
        mapping = changeable(store.load(connection, key), "update")
        after = revised(mapping, parameters, function, parts.now(), parts.quotas)
        refuse_duplicate(connection, after)
        return after

    if function is not None:
        await parts.sources.check(changeable(parts.read_model.get(key), "update"), function)
    return configuration(await parts.changes.commit(decide))


async def delete_event_source_mapping(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    key = key_of(context, parameters["UUID"])

    def decide(connection: Connection) -> EventSourceMapping:
        mapping = changeable(store.load(connection, key), "delete")
        reason = SOURCES[mapping.source].reason
        return replace(mapping, state=moved(mapping.state, State.DELETING), state_reason=reason)

    changeable(parts.read_model.get(key), "delete")
    return configuration(await parts.changes.commit(decide))
