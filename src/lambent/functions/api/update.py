"""UpdateFunctionCode and UpdateFunctionConfiguration.

The old code serves until the transition that begins here has ended.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection

from lambent.aws.errors import invalid_parameter
from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.core.ids import uuid4
from lambent.functions import revise, store
from lambent.functions.api.code import archive_of, check_source
from lambent.functions.api.options import refuse_without_effect
from lambent.functions.api.parts import (
    Parts,
    changeable,
    check_storage,
    existing,
    latest_only,
    refuse_other_revision,
    refuse_while_in_transition,
    target,
    to_its_end,
)
from lambent.functions.api.shapes import configuration
from lambent.functions.api.validation import (
    architecture_of,
    check_settings,
    logging_of,
    variables_of,
)
from lambent.functions.api.versions import publish
from lambent.functions.archive import BadPackage
from lambent.functions.changes import Change
from lambent.functions.records import CodePackage, Function, FunctionKey, FunctionVersion, State


def operations(parts: Parts) -> Operations:
    return {
        "UpdateFunctionCode": partial(update_function_code, parts),
        "UpdateFunctionConfiguration": partial(update_function_configuration, parts),
    }


async def update_function_code(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    key = latest_only(target(context, "UpdateFunctionCode", parameters["FunctionName"]))
    function = existing(parts.read_model.get(key), key)
    _check_code(parts, parameters)
    architecture = architecture_of(parameters)
    refuse_while_in_transition(function)
    refuse_other_revision(function, parameters.get("RevisionId"))
    archive = await archive_of(parts, context, parameters)
    try:
        if parameters.get("DryRun"):
            code = await parts.packages.check(archive)
            return configuration(replace(function.latest, **_code(code, architecture)))
        change = await to_its_end(_accept(parts, key, parameters, archive))
    except BadPackage as error:
        raise invalid_parameter(str(error)) from error
    assert change.reply is not None
    return configuration(change.reply, arn=change.reply.qualified_arn if change.published else None)


async def update_function_configuration(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    found = target(context, "UpdateFunctionConfiguration", parameters["FunctionName"], by_policy=False)
    key = latest_only(found)
    existing(parts.read_model.get(key), key)
    refuse_without_effect(parameters)
    check_settings(parameters, parts.quotas)
    now = parts.clock.now()
    revision_id = parameters.get("RevisionId")
    runtime = parameters.get("Runtime")
    runtime_version_arn = None if runtime is None else parts.runtime_version_arn(runtime, key.region)

    def update(connection: Connection) -> Change:
        function = changeable(connection, key, revision_id)
        return _begin(connection, function, _settings(parameters, function.latest, runtime_version_arn), now)

    change = await parts.changes.commit(update)
    assert change.reply is not None
    return configuration(change.reply)


async def _accept(parts: Parts, key: FunctionKey, parameters: Parameters, archive: bytes) -> Change:
    architecture = architecture_of(parameters)
    publishing = bool(parameters.get("Publish"))
    async with parts.packages.accept(archive) as code:
        check_storage(parts, key, code)
        changes = _code(code, architecture)
        now = parts.clock.now()
        return await parts.changes.commit(
            lambda connection: _update(connection, key, parameters.get("RevisionId"), changes, now, publishing)
        )


def _check_code(parts: Parts, parameters: Parameters) -> None:
    if parameters.get("ImageUri"):
        raise invalid_parameter("Please don't provide ImageUri when updating a function with packageType Zip.")
    refuse_without_effect(parameters)
    check_source(parameters, parts.quotas)


def _code(code: CodePackage, architecture: str | None) -> dict[str, Any]:
    return {"code": code} if architecture is None else {"code": code, "architecture": architecture}


def _settings(parameters: Parameters, current: FunctionVersion, runtime_version_arn: str | None) -> Mapping[str, Any]:
    """Fields of the record that the request replaces; whole sub-objects, and only those that were sent."""
    sent = {
        "role": parameters.get("Role"),
        "handler": parameters.get("Handler"),
        "runtime": parameters.get("Runtime"),
        "runtime_version_arn": runtime_version_arn,
        "description": parameters.get("Description"),
        "timeout_s": parameters.get("Timeout"),
        "memory_mb": parameters.get("MemorySize"),
        "ephemeral_storage_mb": (parameters.get("EphemeralStorage") or {}).get("Size"),
        "variables": variables_of(parameters),
        "logging": logging_of(parameters, current.logging),
    }
    changes = {name: value for name, value in sent.items() if value is not None}
    if (key_arn := parameters.get("KMSKeyArn")) is not None:
        changes["kms_key_arn"] = key_arn or None
    return changes


def _update(
    connection: Connection,
    key: FunctionKey,
    revision_id: str | None,
    changes: Mapping[str, Any],
    now: datetime,
    publishing: bool,
) -> Change:
    begun = _begin(connection, changeable(connection, key, revision_id), changes, now)
    return publish(connection, key, begun, None) if publishing else begun


def _begin(connection: Connection, function: Function, changes: Mapping[str, Any], now: datetime) -> Change:
    current = function.latest
    latest = revise.updated(current, changes, now, uuid4)
    # A function that failed to be created has nothing that could serve meanwhile.
    serving = function.serving or (current if current.state is State.ACTIVE else None)
    store.put_latest(connection, latest, serving)
    return Change(key=current.key, latest=latest, serving=serving, reply=latest)
