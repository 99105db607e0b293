"""CreateLogGroup, DeleteLogGroup, DescribeLogGroups, PutRetentionPolicy, DeleteRetentionPolicy."""

from typing import Any

from sqlalchemy import Connection

from lambent.aws.errors import ApiError
from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.core.clock import Clock
from lambent.services.logs.api.tags import check_tags
from lambent.services.logs.lookup import Lookup, no_group
from lambent.services.logs.names import Scope, group_of_identifier
from lambent.services.logs.retention import RETENTION_DAYS
from lambent.services.logs.sink import StoreLogSink
from lambent.services.logs.store.groups import Group, delete_group, put_group, scan_groups, set_group
from lambent.services.logs.tokens import opaque, parse_opaque
from lambent.store.database import Database

PAGE = 50


class GroupApi:
    def __init__(self, database: Database, clock: Clock, sink: StoreLogSink, lookup: Lookup) -> None:
        self._database = database
        self._clock = clock
        self._sink = sink
        self._lookup = lookup

    def operations(self) -> Operations:
        return {
            "CreateLogGroup": self.create_log_group,
            "DeleteLogGroup": self.delete_log_group,
            "DescribeLogGroups": self.describe_log_groups,
            "PutRetentionPolicy": self.put_retention_policy,
            "DeleteRetentionPolicy": self.delete_retention_policy,
        }

    async def create_log_group(self, context: CallContext, parameters: Parameters) -> Result:
        scope, name = Scope(context.account, context.region), parameters["logGroupName"]
        refuse_options(parameters)
        tags = parameters.get("tags") or {}
        check_tags(tags)
        now_ms = self._clock.epoch_ms()
        created = await self._database.write(lambda connection: put_group(connection, scope, name, now_ms, tags))
        if created is None:
            raise ApiError("ResourceAlreadyExistsException", "The specified log group already exists")
        return {}

    async def delete_log_group(self, context: CallContext, parameters: Parameters) -> Result:
        scope, name = Scope(context.account, context.region), parameters["logGroupName"]
        # Lines written before this call must not bring the group back after it.
        await self._sink.flush()
        if not await self._database.write(lambda connection: delete_group(connection, scope, name)):
            raise no_group()
        return {}

    async def describe_log_groups(self, context: CallContext, parameters: Parameters) -> Result:
        scope = Scope(context.account, context.region)
        prefix, pattern = parameters.get("logGroupNamePrefix"), parameters.get("logGroupNamePattern")
        identifiers = parameters.get("logGroupIdentifiers")
        if sum(1 for value in (prefix, pattern, identifiers) if value) > 1:
            raise ApiError(
                "InvalidParameterException",
                "logGroupNamePrefix, logGroupNamePattern and logGroupIdentifiers are mutually exclusive parameters.",
            )
        if parameters.get("includeLinkedAccounts") or parameters.get("accountIdentifiers"):
            raise ApiError(
                "InvalidParameterException",
                "includeLinkedAccounts and accountIdentifiers are not built in Lambent yet.",
            )
        if parameters.get("logGroupClass", "STANDARD") != "STANDARD":
            return {"logGroups": []}
        names = {_named(scope, identifier) for identifier in identifiers} if identifiers else None
        after = parse_opaque(parameters["nextToken"], str)[0] if "nextToken" in parameters else ""
        limit = parameters.get("limit", PAGE)

        def page(connection: Connection) -> list[Group]:
            found: list[Group] = []
            for group in scan_groups(connection, scope, after, prefix or ""):
                if (names is None or group.name in names) and (not pattern or pattern in group.name):
                    found.append(group)
                    if len(found) > limit:
                        break
            return found

        await self._sink.flush()
        found = await self._database.read(page)
        result: dict[str, Any] = {"logGroups": [_shape(scope, group) for group in found[:limit]]}
        if len(found) > limit:
            result["nextToken"] = opaque(found[limit - 1].name)
        return result

    async def put_retention_policy(self, context: CallContext, parameters: Parameters) -> Result:
        days = parameters["retentionInDays"]
        if days not in RETENTION_DAYS:
            raise ApiError(
                "InvalidParameterException",
                f"1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy constraint: "
                f"Member must satisfy enum value set: [{', '.join(map(str, RETENTION_DAYS))}]",
            )
        await self._set_retention(context, parameters["logGroupName"], days)
        return {}

    async def delete_retention_policy(self, context: CallContext, parameters: Parameters) -> Result:
        await self._set_retention(context, parameters["logGroupName"], None)
        return {}

    async def _set_retention(self, context: CallContext, name: str, days: int | None) -> None:
        group = await self._lookup.group(Scope(context.account, context.region), name)
        await self._database.write(lambda connection: set_group(connection, group.id, retention_days=days))


def refuse_options(parameters: Parameters) -> None:
    """Options of CreateLogGroup without an effect here; values that mean AWS's default pass."""
    refused = None
    if parameters.get("kmsKeyId"):
        refused = "kmsKeyId"
    elif parameters.get("logGroupClass", "STANDARD") != "STANDARD":
        refused = f"logGroupClass {parameters['logGroupClass']}"
    elif parameters.get("deletionProtectionEnabled"):
        refused = "deletionProtectionEnabled"
    if refused is not None:
        raise ApiError("InvalidParameterException", f"{refused} is not built in Lambent yet.")


def _named(scope: Scope, identifier: str) -> str:
    return group_of_identifier(scope, None, identifier)


def _shape(scope: Scope, group: Group) -> dict[str, Any]:
    arn = scope.group_arn(group.name)
    shape: dict[str, Any] = {
        "logGroupName": group.name,
        "creationTime": group.created_ms,
        "metricFilterCount": 0,
        "arn": f"{arn}:*",
        "storedBytes": max(group.stored_bytes, 0),
        "logGroupClass": "STANDARD",
        "logGroupArn": arn,
        "deletionProtectionEnabled": False,
    }
    if group.retention_days is not None:
        shape["retentionInDays"] = group.retention_days
    return shape
