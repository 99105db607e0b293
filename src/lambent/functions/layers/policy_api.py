"""AddLayerVersionPermission, GetLayerVersionPolicy and RemoveLayerVersionPermission."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy import Connection

from lambent.aws.arn import partition_of
from lambent.aws.errors import ApiError, conflict, invalid_parameter, not_found
from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.core.ids import uuid4
from lambent.functions.api.parts import Parts
from lambent.functions.layers import store
from lambent.functions.layers.access import located
from lambent.functions.layers.catalog import LayerChange
from lambent.functions.layers.records import LayerKey, LayerVersion

Statement = dict[str, Any]


def operations(parts: Parts) -> Operations:
    return {
        "AddLayerVersionPermission": partial(add_layer_version_permission, parts),
        "GetLayerVersionPolicy": partial(get_layer_version_policy, parts),
        "RemoveLayerVersionPermission": partial(remove_layer_version_permission, parts),
    }


async def add_layer_version_permission(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    key, number = _named(context, "AddLayerVersionPermission", parameters)
    if parameters.get("OrganizationId") and parameters["Principal"] != "*":
        raise invalid_parameter("OrganizationId can only be given together with the principal *.")
    added = _statement(key.version_arn(number), parameters)
    sid = parameters["StatementId"]

    def add(statements: list[Statement]) -> list[Statement]:
        if any(each["Sid"] == sid for each in statements):
            raise conflict(
                f"The statement id ({sid}) provided already exists."
                " Please provide a new statement id, or remove the existing statement."
            )
        return [*statements, added]

    changed = await _change(parts, key, number, parameters.get("RevisionId"), add)
    return {"Statement": _json(added), "RevisionId": changed.policy_revision}


async def get_layer_version_policy(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    key, number = _named(context, "GetLayerVersionPolicy", parameters)
    version = _existing(parts.layers.get(key, number), key, number)
    if version.policy is None:
        raise _no_policy()
    return {"Policy": version.policy, "RevisionId": version.policy_revision}


async def remove_layer_version_permission(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    key, number = _named(context, "RemoveLayerVersionPermission", parameters)
    sid = parameters["StatementId"]

    def remove(statements: list[Statement]) -> list[Statement]:
        if not statements:
            raise _no_policy()
        left = [each for each in statements if each["Sid"] != sid]
        if len(left) == len(statements):
            raise not_found(f"Statement {sid} is not found in resource policy.")
        return left

    await _change(parts, key, number, parameters.get("RevisionId"), remove)
    return {}


async def _change(
    parts: Parts,
    key: LayerKey,
    number: int,
    revision_id: str | None,
    decide: Callable[[list[Statement]], list[Statement]],
) -> LayerVersion:
    def change(connection: Connection) -> LayerChange:
        version = _existing(store.load(connection, key, number), key, number)
        statements = decide([] if version.policy is None else json.loads(version.policy)["Statement"])
        if revision_id is not None and revision_id != version.policy_revision:
            raise ApiError(
                "PreconditionFailedException",
                "The Revision Id provided does not match the latest Revision Id."
                " Call the GetLayerPolicy API to retrieve the latest Revision Id",
            )
        document = _json({"Version": "2012-10-17", "Id": "default", "Statement": statements}) if statements else None
        limit = parts.quotas.max_policy_bytes
        if document is not None and len(document.encode()) > limit:
            raise ApiError(
                "PolicyLengthExceededException",
                f"The final policy size ({len(document.encode())}) is bigger than the limit ({limit}).",
            )
        changed = replace(version, policy=document, policy_revision=uuid4())
        store.put(connection, changed)
        return LayerChange(put=changed)

    put = (await parts.layers.commit(change)).put
    assert put is not None
    return put


def _named(context: CallContext, operation: str, parameters: Parameters) -> tuple[LayerKey, int]:
    number = parameters["VersionNumber"]
    return located(context, operation, parameters["LayerName"], number), number


def _existing(version: LayerVersion | None, key: LayerKey, number: int) -> LayerVersion:
    if version is None:
        raise not_found(f"Layer version {key.version_arn(number)} does not exist.")
    return version


def _no_policy() -> ApiError:
    return not_found("No policy is associated with the given resource.")


def _statement(arn: str, parameters: Parameters) -> Statement:
    principal = parameters["Principal"]
    if principal.isdigit():
        principal = f"arn:{partition_of(arn.split(':')[3])}:iam::{principal}:root"
    statement: Statement = {
        "Sid": parameters["StatementId"],
        "Effect": "Allow",
        "Principal": "*" if principal == "*" else {"AWS": principal},
        "Action": parameters["Action"],
        "Resource": arn,
    }
    if parameters.get("OrganizationId"):
        statement["Condition"] = {"StringEquals": {"aws:PrincipalOrgID": parameters["OrganizationId"]}}
    return statement


def _json(value: Statement) -> str:
    return json.dumps(value, separators=(",", ":"))
