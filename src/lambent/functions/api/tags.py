"""TagResource, UntagResource, ListTags, for functions. Tags change no revision and no deployment."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from sqlalchemy import Connection

from lambent.aws.errors import invalid_parameter, not_built
from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.functions import store
from lambent.functions.api.parts import Parts, existing, refuse_while_updating, target
from lambent.functions.api.validation import check_tags
from lambent.functions.changes import Change
from lambent.functions.records import FunctionKey

_RESOURCE: Final = re.compile(r"arn:[a-zA-Z-]+:lambda:[^:]+:\d{12}:(?P<kind>[a-z-]+):.+")

Tags = Mapping[str, str]


def operations(parts: Parts) -> Operations:
    return {
        "TagResource": partial(tag_resource, parts),
        "UntagResource": partial(untag_resource, parts),
        "ListTags": partial(list_tags, parts),
    }


async def tag_resource(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    key = _function(context, "TagResource", parameters["Resource"])
    new: Tags = parameters["Tags"]
    if not new:
        raise invalid_parameter("An error occurred and the request cannot be processed.")

    def added(tags: Tags) -> Tags:
        together = {**tags, **new}
        check_tags(together, parts.quotas)
        return together

    await _change(parts, key, added)
    return {}


async def untag_resource(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    key = _function(context, "UntagResource", parameters["Resource"])
    gone = frozenset(parameters["TagKeys"])
    await _change(parts, key, lambda tags: {name: value for name, value in tags.items() if name not in gone})
    return {}


async def list_tags(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    key = _function(context, "ListTags", parameters["Resource"])
    return {"Tags": dict(existing(parts.read_model.get(key), key).tags)}


async def _change(parts: Parts, key: FunctionKey, decide: Callable[[Tags], Tags]) -> None:
    existing(parts.read_model.get(key), key)

    def commit(connection: Connection) -> Change:
        function = existing(store.load(connection, key), key)
        refuse_while_updating(function)
        tags = decide(function.tags)
        store.put_tags(connection, key, tags)
        return Change(key=key, tags=tags)

    await parts.changes.commit(commit)


def _function(context: CallContext, operation: str, resource: str) -> FunctionKey:
    match = _RESOURCE.fullmatch(resource)
    if match is None or match["kind"] != "function":
        raise not_built(operation, f"{operation} for {resource}")
    found = target(context, operation, resource)
    if found.qualifier is not None:
        raise invalid_parameter(
            "Tags on function aliases and versions are not supported. Please specify a function ARN."
        )
    return found.key
