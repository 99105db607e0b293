"""Tags of log groups: TagResource, UntagResource, ListTagsForResource, and the older calls by group name."""

import json
import re
from collections.abc import Iterable, Mapping

from sqlalchemy import Connection

from lambent.aws.errors import ApiError
from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.services.logs.lookup import Lookup, no_group
from lambent.services.logs.names import Scope, group_of_arn
from lambent.services.logs.store.groups import find_group, set_group
from lambent.store.database import Database

MAX_TAGS = 50
_RESERVED = re.compile("aws:", re.IGNORECASE)


class TagApi:
    def __init__(self, database: Database, lookup: Lookup) -> None:
        self._database = database
        self._lookup = lookup

    def operations(self) -> Operations:
        return {
            "TagResource": self.tag_resource,
            "UntagResource": self.untag_resource,
            "ListTagsForResource": self.list_tags_for_resource,
            "TagLogGroup": self.tag_log_group,
            "UntagLogGroup": self.untag_log_group,
            "ListTagsLogGroup": self.list_tags_log_group,
        }

    async def tag_resource(self, context: CallContext, parameters: Parameters) -> Result:
        return await self._change(context, _group(context, parameters), put=parameters["tags"])

    async def untag_resource(self, context: CallContext, parameters: Parameters) -> Result:
        return await self._change(context, _group(context, parameters), remove=parameters["tagKeys"])

    async def list_tags_for_resource(self, context: CallContext, parameters: Parameters) -> Result:
        return await self._list(context, _group(context, parameters))

    async def tag_log_group(self, context: CallContext, parameters: Parameters) -> Result:
        return await self._change(context, parameters["logGroupName"], put=parameters["tags"])

    async def untag_log_group(self, context: CallContext, parameters: Parameters) -> Result:
        return await self._change(context, parameters["logGroupName"], remove=parameters["tags"])

    async def list_tags_log_group(self, context: CallContext, parameters: Parameters) -> Result:
        return await self._list(context, parameters["logGroupName"])

    async def _list(self, context: CallContext, name: str) -> Result:
        group = await self._lookup.group(Scope(context.account, context.region), name)
        return {"tags": dict(group.tags)}

    async def _change(
        self, context: CallContext, name: str, *, put: Mapping[str, str] | None = None, remove: Iterable[str] = ()
    ) -> Result:
        scope = Scope(context.account, context.region)
        added = dict(put or {})
        check_tags(added)
        gone = set(remove)

        def change(connection: Connection) -> None:
            group = find_group(connection, scope, name)
            if group is None:
                raise no_group()
            tags = {key: value for key, value in {**group.tags, **added}.items() if key not in gone}
            if len(tags) > MAX_TAGS:
                raise ApiError(
                    "TooManyTagsException",
                    f"A resource can have no more than {MAX_TAGS} tags.",
                    members={"resourceName": scope.group_arn(name)},
                )
            set_group(connection, group.id, tags=json.dumps(tags))

        await self._lookup.group(scope, name)
        await self._database.write(change)
        return {}


def check_tags(tags: Mapping[str, str]) -> None:
    for key in tags:
        if _RESERVED.match(key):
            raise ApiError("InvalidParameterException", f"Tag keys may not begin with aws: ({key}).")


def _group(context: CallContext, parameters: Parameters) -> str:
    return group_of_arn(Scope(context.account, context.region), parameters["resourceArn"])
