"""CreateAlias, GetAlias, UpdateAlias, DeleteAlias, ListAliases.

An alias names one version, or shares calls out between two. Its policy and configurations go with it, but not its URL.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy import Connection

from lambent.aws.errors import conflict, invalid_parameter, not_found, without_type
from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.core.ids import uuid4
from lambent.functions import store
from lambent.functions.api.parts import Parts, existing, page, refuse_stale, target
from lambent.functions.changes import Change
from lambent.functions.records import (
    LATEST,
    Alias,
    AttachmentKey,
    EventInvokeConfig,
    Function,
    FunctionKey,
    FunctionVersion,
    Policy,
    ProvisionedConcurrency,
)
from lambent.functions.resolve import Target


def operations(parts: Parts) -> Operations:
    return {
        "CreateAlias": partial(create_alias, parts),
        "GetAlias": partial(get_alias, parts),
        "UpdateAlias": partial(update_alias, parts),
        "DeleteAlias": partial(delete_alias, parts),
        "ListAliases": partial(list_aliases, parts),
    }


async def create_alias(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    found = _alias(context, parameters)
    existing(parts.read_model.get(found.key), found.key)
    alias = Alias(
        name=parameters["Name"],
        version=parameters["FunctionVersion"],
        revision_id=uuid4(),
        description=parameters.get("Description") or "",
        weights=_weights(parameters.get("RoutingConfig")),
    )

    def decide(connection: Connection) -> Change:
        function = existing(store.load(connection, found.key), found.key)
        version = _version(connection, function, alias.version)
        if function.attached(Alias, alias.name) is not None:
            raise conflict(f"Alias already exists: {found.arn}")
        _check_weights(connection, function, alias, version)
        return _put(connection, found.key, alias)

    await parts.changes.commit(decide)
    return _shape(found.key, alias)


async def get_alias(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    found = _alias(context, parameters)
    function = existing(parts.read_model.get(found.key), found.key)
    alias = function.attached(Alias, parameters["Name"])
    if alias is None:
        raise not_found(f"Cannot find alias arn: {found.arn}")
    return _shape(found.key, alias)


async def update_alias(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    found = _alias(context, parameters)
    existing(parts.read_model.get(found.key), found.key)

    def decide(connection: Connection) -> Change:
        function = existing(store.load(connection, found.key), found.key)
        before = function.attached(Alias, parameters["Name"])
        if before is None:
            raise not_found(f"Alias not found: {found.arn}")
        refuse_stale(before.revision_id, parameters.get("RevisionId"))
        after = _changed(before, parameters)
        version = _version(connection, function, after.version)
        _check_weights(connection, function, after, version)
        return _put(connection, found.key, after)

    change = await parts.changes.commit(decide)
    (alias,) = change.attached.values()
    assert isinstance(alias, Alias)
    return _shape(found.key, alias)


async def delete_alias(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    """An alias that is not there is as good as deleted."""
    found = _alias(context, parameters)
    existing(parts.read_model.get(found.key), found.key)
    name = parameters["Name"]

    def decide(connection: Connection) -> Change:
        existing(store.load(connection, found.key), found.key)
        attached: dict[AttachmentKey, None] = {}
        for kind in (Alias, Policy, ProvisionedConcurrency, EventInvokeConfig):
            store.remove_attachment(connection, found.key, kind, name)
            attached[kind, name] = None
        return Change(key=found.key, attached=attached)

    await parts.changes.commit(decide)
    return {}


async def list_aliases(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    key = target(context, parameters).key
    function = existing(parts.read_model.get(key), key)
    version = parameters.get("FunctionVersion")
    aliases = [
        alias
        for alias in function.all_attached(Alias).values()
        if version is None or version == alias.version or version in alias.weights
    ]
    chosen, marker = page(aliases, parameters, parts.quotas, lambda alias: alias.name)
    reply: dict[str, Any] = {"Aliases": [_shape(key, alias) for alias in chosen]}
    return reply if marker is None else reply | {"NextMarker": marker}


def _alias(context: CallContext, parameters: Parameters) -> Target:
    """The alias; a qualifier in the name of the function says nothing here."""
    return Target(target(context, parameters).key, parameters["Name"])


def _weights(routing: Mapping[str, Any] | None) -> dict[str, float]:
    return dict((routing or {}).get("AdditionalVersionWeights") or {})


def _changed(before: Alias, parameters: Parameters) -> Alias:
    """With a new revision, also when nothing else is new."""
    sent = {"version": parameters.get("FunctionVersion"), "description": parameters.get("Description")}
    changes: dict[str, Any] = {name: value for name, value in sent.items() if value is not None}
    if (routing := parameters.get("RoutingConfig")) is not None:
        changes["weights"] = _weights(routing)
    return replace(before, revision_id=uuid4(), **changes)


def _version(connection: Connection, function: Function, number: str) -> FunctionVersion:
    key = function.latest.key
    version = function.latest if number == LATEST else store.load_version(connection, key, number)
    if version is None:
        raise not_found(f"Function not found: {key.arn}:{number}")
    return version


def _check_weights(connection: Connection, function: Function, alias: Alias, version: FunctionVersion) -> None:
    if not alias.weights:
        return
    if len(alias.weights) > 1:
        raise invalid_parameter("Number of items in AdditionalVersionWeights cannot be greater than 1")
    (number,) = alias.weights
    if number == alias.version:
        raise invalid_parameter(
            f"Invalid function version {number}. Function version {number} is already included in routing"
            " configuration."
        )
    if alias.version == LATEST:
        raise without_type(invalid_parameter("$LATEST is not supported for an alias pointing to more than 1 version"))
    other = _version(connection, function, number)
    if other.role != version.role:
        raise invalid_parameter("Specified versions must be associated with the same execution role")
    if other.dead_letter_arn != version.dead_letter_arn:
        raise invalid_parameter("Specified versions must be associated with the same dead-letter configuration")


def _put(connection: Connection, key: FunctionKey, alias: Alias) -> Change:
    store.put_attachment(connection, key, alias.name, alias)
    return Change(key=key, attached={(Alias, alias.name): alias})


def _shape(key: FunctionKey, alias: Alias) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "AliasArn": f"{key.arn}:{alias.name}",
        "Name": alias.name,
        "FunctionVersion": alias.version,
        "Description": alias.description,
        "RevisionId": alias.revision_id,
    }
    if alias.weights:
        shape["RoutingConfig"] = {"AdditionalVersionWeights": dict(alias.weights)}
    return shape
