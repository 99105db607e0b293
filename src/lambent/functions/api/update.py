"""UpdateFunctionCode and UpdateFunctionConfiguration.

The old code serves until the transition that begins here has ended.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection

from lambent.aws.errors import conflict, invalid_parameter
from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.core.ids import uuid4
from lambent.functions import revise, store
from lambent.functions.api.code import (
    accepted,
    archive_of,
    check_image,
    check_kind,
    check_source,
    image_config_of,
    signing_fields,
)
from lambent.functions.api.options import refuse_without_effect
from lambent.functions.api.parts import (
    Parts,
    changeable,
    check_layers_signed,
    check_role,
    check_runtime,
    check_storage,
    existing,
    latest_only,
    layers_in_use,
    refuse_other_revision,
    refuse_while_in_transition,
    target,
    to_its_end,
    vpc_of,
)
from lambent.functions.api.shapes import configuration
from lambent.functions.api.stuck import cancel_if_stuck
from lambent.functions.api.validation import (
    architecture_of,
    check_settings,
    check_snap_start,
    dead_letter_of,
    logging_of,
    snap_start_of,
    variables_of,
)
from lambent.functions.api.versions import publish
from lambent.functions.archive import BadPackage, Content
from lambent.functions.changes import Change
from lambent.functions.layers.use import check_unzipped
from lambent.functions.quotas import Quotas
from lambent.functions.records import (
    NO_PACKAGE,
    CodePackage,
    CodeSigning,
    Function,
    FunctionKey,
    FunctionVersion,
    State,
)
from lambent.functions.signing.records import Signed


def operations(parts: Parts) -> Operations:
    return {
        "UpdateFunctionCode": partial(update_function_code, parts),
        "UpdateFunctionConfiguration": partial(update_function_configuration, parts),
    }


async def update_function_code(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    found = target(context, parameters)
    key = latest_only(found)
    function = existing(parts.read_model.get(key), key)
    _check_code(parts, function.latest, parameters)
    await cancel_if_stuck(parts, key)
    refuse_while_in_transition(function)
    refuse_other_revision(function, parameters.get("RevisionId"))
    archive = await archive_of(parts, context, parameters)
    if parameters.get("DryRun"):
        code = NO_PACKAGE if archive is None else await _checked(parts, archive)
        signed = await parts.signing.of(key, _config_arn(function), archive)
        described = replace(function.latest, **_code(function.latest, code, parameters, signed))
        check_unzipped(described, parts.quotas)
        return configuration(described, parts.snapshots, arn=found.arn)
    change = await to_its_end(_accept(parts, key, parameters, archive))
    assert change.reply is not None
    return configuration(
        change.reply, parts.snapshots, arn=change.reply.qualified_arn if change.published else found.arn
    )


async def update_function_configuration(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    found = target(context, parameters)
    key = latest_only(found)
    current = existing(parts.read_model.get(key), key).latest
    check_kind(parameters, current.image is not None)
    check_runtime(parts, parameters.get("Runtime") or current.runtime)
    check_role(parts, parameters.get("Role"), key.arn)
    check_settings(
        parameters,
        parts.quotas,
        runtime=parameters.get("Runtime") or current.runtime,
        logging=current.logging,
    )
    refuse_without_effect(parameters)
    await cancel_if_stuck(parts, key)
    change = await to_its_end(_configure(parts, context, key, parameters))
    assert change.reply is not None
    return configuration(change.reply, parts.snapshots, arn=found.arn)


async def _configure(parts: Parts, context: CallContext, key: FunctionKey, parameters: Parameters) -> Change:
    now = parts.clock.now()
    revision_id = parameters.get("RevisionId")
    runtime = parameters.get("Runtime")
    runtime_version_arn = None if runtime is None else parts.runtime_version_arn(runtime, key.region)
    network = await vpc_of(parts, context, parameters)
    with layers_in_use(parts, context, parameters) as layers:
        config_arn = _config_arn(existing(parts.read_model.get(key), key))
        await check_layers_signed(parts, key, config_arn, layers or ())

        def update(connection: Connection) -> Change:
            function = changeable(connection, key, revision_id)
            check_kind(parameters, function.latest.image is not None)
            if layers:
                _refuse_other_config(function, config_arn)
            settings = _settings(parameters, function.latest, runtime_version_arn)
            check_snap_start(replace(function.latest, **settings))
            if layers is not None:
                settings["layers"] = layers
            if parameters.get("VpcConfig") is not None:
                settings["vpc"] = network
            return _begin(connection, function, settings, now, parts.quotas)

        return await parts.changes.commit(update)


async def _accept(parts: Parts, key: FunctionKey, parameters: Parameters, archive: Content | None) -> Change:
    publishing = bool(parameters.get("Publish"))
    present = existing(parts.read_model.get(key), key)
    async with accepted(parts, archive, present.latest.code) as code:
        check_storage(parts, key, code)
        config_arn = _config_arn(existing(parts.read_model.get(key), key))
        signed = await parts.signing.of(key, config_arn, archive)
        now = parts.clock.now()

        def update(connection: Connection) -> Change:
            function = changeable(connection, key, parameters.get("RevisionId"))
            # While the code came from S3 the name may have been deleted, and created with another kind of package.
            _check_code(parts, function.latest, parameters)
            _refuse_other_config(function, config_arn)
            changes = _code(function.latest, code, parameters, signed)
            begun = _begin(connection, function, changes, now, parts.quotas)
            return publish(connection, key, begun, None) if publishing else begun

        return await parts.changes.commit(update)


async def _checked(parts: Parts, archive: Content) -> CodePackage:
    try:
        return await parts.packages.check(archive)
    except BadPackage as error:
        raise invalid_parameter(str(error)) from error


def _check_code(parts: Parts, current: FunctionVersion, parameters: Parameters) -> None:
    check_runtime(parts, current.runtime)
    architecture_of(parameters)
    if current.image is not None:
        check_image(parameters, "updating")
    elif parameters.get("ImageUri"):
        raise invalid_parameter("Please don't provide ImageUri when updating a function with packageType Zip.")
    else:
        check_source(parameters, parts.quotas)
    refuse_without_effect(parameters)


def _refuse_other_config(function: Function, checked: str | None) -> None:
    if _config_arn(function) != checked:
        raise conflict("The code signing configuration of the function has changed. Please try again.")


def _config_arn(function: Function) -> str | None:
    bound = function.attached(CodeSigning)
    return None if bound is None else bound.config_arn


def _code(current: FunctionVersion, code: CodePackage, parameters: Parameters, signed: Signed | None) -> dict[str, Any]:
    """Fields of the record that new code replaces."""
    changes: dict[str, Any] = {"code": code, "architecture": architecture_of(parameters) or current.architecture}
    changes |= signing_fields(signed)
    if current.image is not None:
        changes["image"] = replace(current.image, uri=parameters["ImageUri"])
    return changes


def _settings(parameters: Parameters, current: FunctionVersion, runtime_version_arn: str | None) -> dict[str, Any]:
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
        "snap_start": snap_start_of(parameters),
        "left_network": None if parameters.get("VpcConfig") is None else True,
    }
    changes = {name: value for name, value in sent.items() if value is not None}
    if current.image is not None and parameters.get("ImageConfig") is not None:
        changes["image"] = replace(current.image, config=image_config_of(parameters))
    if (key_arn := parameters.get("KMSKeyArn")) is not None:
        changes["kms_key_arn"] = key_arn or None
    if (target_arn := dead_letter_of(parameters)) is not None:
        changes["dead_letter_arn"] = target_arn or None
    return changes


def _begin(
    connection: Connection, function: Function, changes: Mapping[str, Any], now: datetime, quotas: Quotas
) -> Change:
    current = function.latest
    latest = revise.updated(current, changes, now, uuid4)
    if changes.keys() & {"code", "layers"}:
        check_unzipped(latest, quotas)
    # A function that failed to be created has nothing that could serve meanwhile.
    serving = function.serving or (current if current.state is State.ACTIVE else None)
    store.put_latest(connection, latest, serving)
    return Change(key=current.key, latest=latest, serving=serving, reply=latest)
