"""Put, Get, List and DeleteProvisionedConcurrencyConfig.

Stores what is wanted; a `Provisioner` makes the environments, and its progress is what the replies tell.
"""

from functools import partial
from typing import Any

from sqlalchemy import Connection

from lambent.aws.errors import ApiError, conflict, invalid_parameter, not_found, without_type
from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.functions import store
from lambent.functions.api.parts import Parts, existing, page, target
from lambent.functions.api.shapes import timestamp
from lambent.functions.api.validation import refuse_for_tenants
from lambent.functions.changes import Change
from lambent.functions.provisioned import shares
from lambent.functions.records import LATEST, Alias, Function, ProvisionedConcurrency, ReservedConcurrency
from lambent.functions.resolve import Target


def operations(parts: Parts) -> Operations:
    return {
        "PutProvisionedConcurrencyConfig": partial(put_provisioned_concurrency_config, parts),
        "GetProvisionedConcurrencyConfig": partial(get_provisioned_concurrency_config, parts),
        "ListProvisionedConcurrencyConfigs": partial(list_provisioned_concurrency_configs, parts),
        "DeleteProvisionedConcurrencyConfig": partial(delete_provisioned_concurrency_config, parts),
    }


async def put_provisioned_concurrency_config(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    found = target(context, parameters)
    if found.qualifier in (None, LATEST):
        raise _unpublished()
    qualifier = str(found.qualifier)
    config = ProvisionedConcurrency(parameters["ProvisionedConcurrentExecutions"], parts.clock.now())
    # Published versions are looked up in memory: they do not change.
    function = _check_qualifier(parts.read_model.get(found.key), found)
    refuse_for_tenants(function.latest, "Provisioned Concurrency")
    _check_snap_start(function, qualifier)

    def decide(connection: Connection) -> Change:
        function = existing(store.load(connection, found.key), found.key)
        _check_overlap(function, qualifier)
        _check_concurrency(parts, connection, function, qualifier, config.executions)
        store.put_attachment(connection, found.key, qualifier, config)
        return Change(key=found.key, attached={(ProvisionedConcurrency, qualifier): config})

    await parts.changes.commit(decide)
    return {
        "RequestedProvisionedConcurrentExecutions": config.executions,
        "AllocatedProvisionedConcurrentExecutions": 0,
        "AvailableProvisionedConcurrentExecutions": 0,
        "Status": "IN_PROGRESS",
        "LastModified": timestamp(config.last_modified),
    }


async def get_provisioned_concurrency_config(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    found = target(context, parameters)
    function = _readable(parts, found)
    config = function.attached(ProvisionedConcurrency, str(found.qualifier))
    if config is None:
        raise ApiError(
            "ProvisionedConcurrencyConfigNotFoundException", "No Provisioned Concurrency Config found for this function"
        )
    return _shape(parts, function, str(found.qualifier), config)


async def list_provisioned_concurrency_configs(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    found = target(context, parameters)
    function = existing(parts.read_model.get(found.key), found.key)
    configs = list(function.all_attached(ProvisionedConcurrency).items())
    chosen, marker = page(configs, parameters, parts.quotas, lambda item: item[0])
    reply: dict[str, Any] = {
        "ProvisionedConcurrencyConfigs": [
            {"FunctionArn": f"{found.key.arn}:{qualifier}", **_shape(parts, function, qualifier, config)}
            for qualifier, config in chosen
        ]
    }
    return reply if marker is None else reply | {"NextMarker": marker}


async def delete_provisioned_concurrency_config(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    found = target(context, parameters)
    _readable(parts, found)
    qualifier = str(found.qualifier)

    def decide(connection: Connection) -> Change:
        store.remove_attachment(connection, found.key, ProvisionedConcurrency, qualifier)
        return Change(key=found.key, attached={(ProvisionedConcurrency, qualifier): None})

    await parts.changes.commit(decide)
    return {}


def _readable(parts: Parts, found: Target) -> Function:
    if found.qualifier in (None, LATEST):
        raise invalid_parameter("The function resource provided must be an alias or a published version.")
    return _check_qualifier(parts.read_model.get(found.key), found)


def _check_qualifier(function: Function | None, found: Target) -> Function:
    qualifier = str(found.qualifier)
    if qualifier.isdigit():
        if function is None or qualifier not in function.published:
            raise not_found(f"Function not found: {found.arn}")
    elif function is None or function.attached(Alias, qualifier) is None:
        raise not_found(f"Cannot find alias arn: {found.arn}")
    return function


def _unpublished() -> ApiError:
    return invalid_parameter("Provisioned Concurrency Configs cannot be applied to unpublished function versions.")


def _check_overlap(function: Function, qualifier: str) -> None:
    """One version has one configuration: its own, or that of one alias."""
    configured = function.all_attached(ProvisionedConcurrency).keys() - {qualifier}
    aliases = function.all_attached(Alias)
    alias = aliases.get(qualifier)
    if alias is None:
        if any(qualifier in _versions_of(aliases.get(other)) for other in configured):
            raise conflict("Version is pointed by a Provisioned Concurrency alias")
        return
    if LATEST in _versions_of(alias):
        raise _unpublished()
    taken = {other for other in configured if other.isdigit()}
    taken.update(number for other in configured for number in _versions_of(aliases.get(other)))
    if not taken.isdisjoint(_versions_of(alias)):
        raise conflict(
            "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version"
        )


def _check_snap_start(function: Function, qualifier: str) -> None:
    versions = (function.published.get(number) for number in shares(function, qualifier, 1))
    if any(version is not None and version.snap_start for version in versions):
        raise invalid_parameter("Provisioned Concurrency is not supported for SnapStart enabled functions.")


def _versions_of(alias: Alias | None) -> set[str]:
    return set() if alias is None else {alias.version, *alias.weights}


def _check_concurrency(
    parts: Parts, connection: Connection, function: Function, qualifier: str, executions: int
) -> None:
    configs = function.all_attached(ProvisionedConcurrency)
    others = sum(config.executions for other, config in configs.items() if other != qualifier)
    reserved = function.attached(ReservedConcurrency)
    if reserved is not None:
        if others + executions > reserved.executions:
            raise invalid_parameter(
                "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for"
                " function"
            )
        return
    quotas = parts.quotas
    taken = store.taken_by_others(connection, function.latest.key) + others
    unreserved = quotas.concurrent_executions - taken
    if executions > unreserved:
        raise without_type(
            invalid_parameter(
                "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency"
                f" [{unreserved}]."
            )
        )
    if unreserved - executions < quotas.min_unreserved_executions:
        raise without_type(
            invalid_parameter(
                "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below"
                f" its minimum value of [{quotas.min_unreserved_executions}]."
            )
        )


def _shape(parts: Parts, function: Function, qualifier: str, config: ProvisionedConcurrency) -> dict[str, Any]:
    available, failure = 0, None
    for number, executions in shares(function, qualifier, config.executions).items():
        version = function.published.get(number)
        if version is not None and executions > 0:
            progress = parts.provisioner.progress(version.deployment_id)
            available += min(executions, progress.available)
            failure = failure or progress.failure
    shape: dict[str, Any] = {
        "RequestedProvisionedConcurrentExecutions": config.executions,
        "AvailableProvisionedConcurrentExecutions": available,
        "AllocatedProvisionedConcurrentExecutions": available,
        "Status": "READY" if available == config.executions else "IN_PROGRESS",
        "LastModified": timestamp(config.last_modified),
    }
    if failure is not None and available < config.executions:
        shape |= {"Status": "FAILED", "StatusReason": failure}
    return shape
