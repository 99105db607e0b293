"""Tags of functions. A change of them is a new revision of the function, as was seen at AWS, and no new deployment."""

from collections.abc import Callable
from dataclasses import replace

from sqlalchemy import Connection

from lambent.aws.errors import invalid_parameter
from lambent.aws.service import CallContext
from lambent.core.ids import uuid4
from lambent.functions import store
from lambent.functions.api.parts import existing, refuse_while_updating
from lambent.functions.changes import Change, Changes
from lambent.functions.ports import Tags
from lambent.functions.read_model import ReadModel
from lambent.functions.records import FunctionKey
from lambent.functions.resolve import address


class FunctionTags:
    """`functions.ports.Taggable` for `function` in an ARN."""

    def __init__(self, read_model: ReadModel, changes: Changes) -> None:
        self._read_model = read_model
        self._changes = changes

    def tags(self, context: CallContext, arn: str) -> Tags:
        key = _key(context, arn)
        return existing(self._read_model.get(key), key).tags

    async def change_tags(self, context: CallContext, arn: str, decide: Callable[[Tags], Tags]) -> None:
        key = _key(context, arn)
        existing(self._read_model.get(key), key)

        def commit(connection: Connection) -> Change:
            function = existing(store.load(connection, key), key)
            refuse_while_updating(function)
            tags = decide(function.tags)
            latest = replace(function.latest, revision_id=uuid4())
            store.put_tags(connection, key, tags)
            store.put_latest(connection, latest, function.serving)
            return Change(key=key, tags=tags, latest=latest, serving=function.serving)

        await self._changes.commit(commit)


def _key(context: CallContext, arn: str) -> FunctionKey:
    found = address(context.account, context.region, arn)
    if found.qualifier is not None:
        raise invalid_parameter(
            "Tags on function aliases and versions are not supported. Please specify a function ARN."
        )
    return found.key
