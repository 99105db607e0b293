"""CreateFunction."""

from dataclasses import replace
from functools import partial

from sqlalchemy import Connection

from lambent.aws.errors import ApiError, conflict, invalid_parameter
from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.core.ids import uuid4
from lambent.functions import revise, store
from lambent.functions.api.code import (
    IMAGE,
    accepted,
    archive_of,
    check_image,
    check_kind,
    check_source,
    image_config_of,
    signing_fields,
)
from lambent.functions.api.code_signing import bind
from lambent.functions.api.options import refuse_without_effect
from lambent.functions.api.parts import (
    Parts,
    check_layers_signed,
    check_role,
    check_runtime,
    check_storage,
    layers_in_use,
    target,
    to_its_end,
    vpc_of,
)
from lambent.functions.api.shapes import configuration
from lambent.functions.api.validation import (
    architecture_of,
    check_settings,
    check_snap_start,
    check_tags,
    dead_letter_of,
    logging_of,
    snap_start_of,
    variables_of,
)
from lambent.functions.archive import Content
from lambent.functions.changes import Change
from lambent.functions.layers.use import check_unzipped
from lambent.functions.records import LATEST, CodePackage, FunctionKey, FunctionVersion, Image, LoggingConfig, State


def operations(parts: Parts) -> Operations:
    return {"CreateFunction": partial(create_function, parts)}


async def create_function(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    found = target(context, parameters)
    if found.qualifier not in (None, LATEST):
        raise invalid_parameter(f"A function is created without a qualifier, not as {found.arn}.")
    _check(parts, found.key, parameters)
    if parts.read_model.get(found.key) is not None:
        raise _exists(found.key)
    archive = await archive_of(parts, context, parameters["Code"])
    return configuration(await to_its_end(_accept(parts, context, found.key, parameters, archive)), parts.snapshots)


async def _accept(
    parts: Parts, context: CallContext, key: FunctionKey, parameters: Parameters, archive: Content | None
) -> FunctionVersion:
    publish = bool(parameters.get("Publish"))
    tags = parameters.get("Tags") or {}
    config_arn = parameters.get("CodeSigningConfigArn") or None
    with layers_in_use(parts, context, parameters) as layers:
        network = await vpc_of(parts, context, parameters)
        async with accepted(parts, archive) as code:
            check_storage(parts, key, code)
            signed = await parts.signing.of(key, config_arn, archive)
            await check_layers_signed(parts, key, config_arn, layers or ())
            version = _new_version(parts, key, parameters, code)
            version = replace(version, layers=layers or (), vpc=network, **signing_fields(signed))
            check_unzipped(version, parts.quotas)
            check_snap_start(version)
            change = await parts.changes.commit(
                lambda connection: _create(connection, version, tags, publish, config_arn)
            )
    assert change.reply is not None
    return change.reply


def _check(parts: Parts, key: FunctionKey, parameters: Parameters) -> None:
    if len(key.name) > parts.quotas.max_name_length:
        raise invalid_parameter(
            f"1 validation error detected: Value '{key.name}' at 'functionName' failed to satisfy constraint:"
            f" Member must have length less than or equal to {parts.quotas.max_name_length}"
        )
    is_image = parameters.get("PackageType") == IMAGE
    if not is_image and (not parameters.get("Runtime") or not parameters.get("Handler")):
        raise invalid_parameter(
            "Runtime and Handler are mandatory parameters for functions created with deployment packages."
        )
    check_kind(parameters, is_image)
    check_runtime(parts, parameters.get("Runtime"))
    check_role(parts, parameters["Role"], key.arn)
    check_settings(parameters, parts.quotas, runtime=parameters.get("Runtime"))
    check_tags(parameters.get("Tags") or {}, parts.quotas)
    architecture_of(parameters)
    if config_arn := parameters.get("CodeSigningConfigArn"):
        parts.signing.existing(config_arn, key.account, key.region)
        if is_image:
            raise invalid_parameter("Code signing is not supported for functions created with container images.")
    if is_image:
        check_image(parameters["Code"], "creating")
    else:
        check_source(parameters["Code"], parts.quotas)
    # Last: what AWS refuses too is refused in its words.
    refuse_without_effect(parameters)


def _new_version(parts: Parts, key: FunctionKey, parameters: Parameters, code: CodePackage) -> FunctionVersion:
    is_image = parameters.get("PackageType") == IMAGE
    runtime = parameters.get("Runtime") or ""
    return FunctionVersion(
        account=key.account,
        region=key.region,
        name=key.name,
        version=LATEST,
        runtime=runtime,
        handler=parameters.get("Handler") or "",
        role=parameters["Role"],
        code=code,
        deployment_id=uuid4(),
        revision_id=uuid4(),
        last_modified=parts.clock.now(),
        logging=logging_of(parameters, LoggingConfig(group=f"/aws/lambda/{key.name}")),
        description=parameters.get("Description") or "",
        timeout_s=parameters.get("Timeout") or 3,
        memory_mb=parameters.get("MemorySize") or 128,
        ephemeral_storage_mb=(parameters.get("EphemeralStorage") or {}).get("Size") or 512,
        architecture=architecture_of(parameters) or "x86_64",
        variables=variables_of(parameters),
        kms_key_arn=parameters.get("KMSKeyArn") or None,
        dead_letter_arn=dead_letter_of(parameters) or None,
        snap_start=snap_start_of(parameters) or False,
        tenant_isolation=bool(parameters.get("TenancyConfig")),
        left_network=parameters.get("VpcConfig") is not None,
        state=State.PENDING,
        state_reason=revise.CREATING_REASON,
        state_reason_code=revise.CREATING,
        last_update_status=None,
        image=Image(uri=parameters["Code"]["ImageUri"], config=image_config_of(parameters)) if is_image else None,
        runtime_version_arn=None if is_image else parts.runtime_version_arn(runtime, key.region),
    )


def _create(
    connection: Connection, version: FunctionVersion, tags: dict[str, str], publish: bool, config_arn: str | None
) -> Change:
    if store.load(connection, version.key) is not None:
        raise _exists(version.key)
    store.create(connection, version, tags)
    attached = {} if config_arn is None else bind(connection, version.key, config_arn).attached
    if not publish:
        return Change(key=version.key, latest=version, tags=tags, attached=attached, reply=version)
    number = store.next_number(connection, version.key)
    first = revise.published(version, number, None, uuid4)
    store.add_published(connection, first)
    return Change(key=version.key, latest=version, published=(first,), tags=tags, attached=attached, reply=first)


def _exists(key: FunctionKey) -> ApiError:
    return conflict(f"Function already exist: {key.name}")
