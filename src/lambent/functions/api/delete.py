"""DeleteFunction: a whole function, or one published version of it."""

from functools import partial

from sqlalchemy import Connection

from lambent.aws.errors import conflict, invalid_parameter
from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.functions import store
from lambent.functions.api.parts import Parts, existing, target
from lambent.functions.changes import Change
from lambent.functions.records import (
    LATEST,
    Alias,
    AttachmentKey,
    EventInvokeConfig,
    FunctionKey,
    Policy,
    ProvisionedConcurrency,
)

_DELETED: Result = {"StatusCode": 204}


def operations(parts: Parts) -> Operations:
    return {"DeleteFunction": partial(delete_function, parts)}


async def delete_function(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    found = target(context, parameters)
    existing(parts.read_model.get(found.key), found.key)
    if found.qualifier is None:
        await parts.changes.commit(lambda connection: _delete(connection, found.key))
        return _DELETED
    number = _deletable(found.qualifier)
    await parts.changes.commit(lambda connection: _delete_version(connection, found.key, number))
    return _DELETED


def _deletable(qualifier: str) -> str:
    if qualifier == LATEST:
        raise invalid_parameter("$LATEST version cannot be deleted without deleting the function.")
    if not qualifier.isdigit():
        raise invalid_parameter("Deletion of aliases is not currently supported.")
    return qualifier


def _delete(connection: Connection, key: FunctionKey) -> Change:
    existing(store.load(connection, key), key)
    store.remove(connection, key)
    return Change(key=key, deleted=True)


def _delete_version(connection: Connection, key: FunctionKey, number: str) -> Change:
    """With its policy and configurations. A version that is not there is as good as deleted."""
    function = existing(store.load(connection, key), key)
    aliases = [
        name
        for name, alias in function.all_attached(Alias).items()
        if number == alias.version or number in alias.weights
    ]
    if aliases:
        raise conflict(f"Unable to delete version because the following aliases reference it: [{', '.join(aliases)}]")
    store.remove_version(connection, key, number)
    attached: dict[AttachmentKey, None] = {}
    for kind in (Policy, ProvisionedConcurrency, EventInvokeConfig):
        store.remove_attachment(connection, key, kind, number)
        attached[kind, number] = None
    return Change(key=key, unpublished=frozenset({number}), attached=attached)
