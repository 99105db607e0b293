"""GetEventSourceMapping and ListEventSourceMappings. All from memory."""

from functools import partial
from typing import Any

from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.event_sources.api.parts import Parts, existing, key_of, target_of
from lambent.event_sources.api.shapes import configuration
from lambent.functions.api.parts import page


def operations(parts: Parts) -> Operations:
    return {
        "GetEventSourceMapping": partial(get_event_source_mapping, parts),
        "ListEventSourceMappings": partial(list_event_source_mappings, parts),
    }


async def get_event_source_mapping(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    return configuration(existing(parts.read_model.get(key_of(context, parameters["UUID"]))))


async def list_event_source_mappings(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    mappings = parts.read_model.region(context.account, context.region)
    if source := parameters.get("EventSourceArn"):
        mappings = [mapping for mapping in mappings if mapping.source_arn == source]
    if name := parameters.get("FunctionName"):
        target = target_of(context, name)
        mappings = [mapping for mapping in mappings if mapping.function_arn == target.arn]
    cap = parts.quotas.mappings_page_size
    chosen, marker = page(mappings, parameters, parts.quotas, lambda mapping: mapping.uuid, cap)
    reply: dict[str, Any] = {"EventSourceMappings": [configuration(mapping, listed=True) for mapping in chosen]}
    return reply if marker is None else reply | {"NextMarker": marker}
