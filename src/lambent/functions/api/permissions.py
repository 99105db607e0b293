"""AddPermission, RemovePermission, GetPolicy, and Put-, Get- and DeleteResourcePolicy: two ways to the same documents.

Each function, published version and alias has a policy of its own. A change of it is a new revision of its owner.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from sqlalchemy import Connection

from lambent.aws.errors import ApiError, invalid_parameter, not_built, not_found
from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.core.ids import uuid4
from lambent.functions import statements, store
from lambent.functions.api.parts import Parts, existing, target
from lambent.functions.changes import Change
from lambent.functions.records import LATEST, Alias, Function, FunctionVersion, Policy
from lambent.functions.resolve import Target, address

Owner = Alias | FunctionVersion
"""What a policy belongs to; `$LATEST` stands for the function itself."""


def operations(parts: Parts) -> Operations:
    return {
        "AddPermission": partial(add_permission, parts),
        "RemovePermission": partial(remove_permission, parts),
        "GetPolicy": partial(get_policy, parts),
        "PutResourcePolicy": partial(put_resource_policy, parts),
        "GetResourcePolicy": partial(get_resource_policy, parts),
        "DeleteResourcePolicy": partial(delete_resource_policy, parts),
    }


async def add_permission(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    found = _with_policy(target(context, parameters))
    existing(parts.read_model.get(found.key), found.key)
    limit = parts.quotas.max_policy_bytes
    statement: dict[str, object] = {}

    def change(document: str | None) -> str:
        nonlocal statement
        statement = statements.built(parameters, found.arn, found.key.region)
        return statements.added(document, statement, limit)

    await _commit(parts, found, parameters.get("RevisionId"), change)
    return {"Statement": statements.text(statement)}


async def remove_permission(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    found = target(context, parameters)
    if parts.read_model.get(found.key) is None:
        raise not_found(f"No policy found for: {found.key.arn}")
    sid = parameters["StatementId"]
    await _commit(parts, found, parameters.get("RevisionId"), lambda document: statements.removed(document, sid))
    return {}


async def get_policy(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    found = target(context, parameters)
    return _policy(existing(parts.read_model.get(found.key), found.key), found)


async def put_resource_policy(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    found = _resource(context, "PutResourcePolicy", parameters)
    existing(parts.read_model.get(found.key), found.key)
    document = statements.checked(parameters["Policy"], found.arn, parts.quotas.max_policy_bytes)
    revision_id = await _commit(parts, found, parameters.get("RevisionId"), lambda _before: document)
    return {"Policy": document, "RevisionId": revision_id}


async def get_resource_policy(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    found = _resource(context, "GetResourcePolicy", parameters)
    return _policy(parts.read_model.get(found.key), found)


async def delete_resource_policy(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    found = _resource(context, "DeleteResourcePolicy", parameters)
    existing(parts.read_model.get(found.key), found.key)

    def change(document: str | None) -> None:
        if document is None:
            raise _no_policy()

    await _commit(parts, found, parameters.get("RevisionId"), change)
    return {}


def _resource(context: CallContext, operation: str, parameters: Parameters) -> Target:
    arn = parameters["ResourceArn"]
    if ":function:" not in arn:
        raise not_built(operation, f"{operation} for {arn}")
    return _with_policy(address(context.account, context.region, arn))


def _with_policy(found: Target) -> Target:
    if found.qualifier in (LATEST, f"{LATEST}.PUBLISHED"):
        raise invalid_parameter(f"We currently do not support adding policies for {found.qualifier}.")
    return found


def _policy(function: Function | None, found: Target) -> Result:
    policy = None if function is None else function.attached(Policy, found.qualifier or "")
    if function is None or policy is None:
        raise _no_policy()
    alias = function.attached(Alias, found.qualifier or "")
    owner: Owner | None = alias or function.version(found.qualifier)
    assert owner is not None
    return {"Policy": policy.document, "RevisionId": owner.revision_id}


def _no_policy() -> ApiError:
    return not_found("The resource you requested does not exist.")


async def _commit(
    parts: Parts, found: Target, revision_id: str | None, change: Callable[[str | None], str | None]
) -> str:
    """Put what `change` makes of the present document, None for none; the owner's new revision."""

    def decide(connection: Connection) -> Change:
        function = existing(store.load(connection, found.key), found.key)
        owner = _owner(connection, function, found)
        qualifier = found.qualifier or ""
        before = function.attached(Policy, qualifier)
        _refuse_stale(owner, revision_id)
        document = change(None if before is None else before.document)
        policy = None if document is None else Policy(document)
        if policy is None:
            store.remove_attachment(connection, found.key, Policy, qualifier)
        else:
            store.put_attachment(connection, found.key, qualifier, policy)
        revised = _revised(connection, function, owner)
        return replace(revised, attached={**revised.attached, (Policy, qualifier): policy})

    committed = await parts.changes.commit(decide)
    attached = committed.attached.get((Alias, found.qualifier or ""))
    owner = attached if isinstance(attached, Alias) else (committed.latest or committed.published[0])
    return owner.revision_id


def _owner(connection: Connection, function: Function, found: Target) -> Owner:
    qualifier = found.qualifier
    if qualifier in (None, LATEST):
        return function.latest
    assert qualifier is not None
    if qualifier.isdigit():
        version = store.load_version(connection, found.key, qualifier)
        if version is None:
            raise not_found(f"Function not found: {found.arn}")
        return version
    if "$" in qualifier:
        # The model lets it pass, but no alias has such a name.
        raise not_found(f"Function not found: {found.arn}")
    alias = function.attached(Alias, qualifier)
    if alias is None:
        raise not_found(f"Cannot find alias arn: {found.arn}")
    return alias


def _refuse_stale(owner: Owner, revision_id: str | None) -> None:
    if revision_id is not None and revision_id != owner.revision_id:
        raise ApiError(
            "PreconditionFailedException",
            "The Revision Id provided does not match the latest Revision Id."
            " Call the GetPolicy API to retrieve the latest Revision Id",
        )


def _revised(connection: Connection, function: Function, owner: Owner) -> Change:
    key = function.latest.key
    if isinstance(owner, Alias):
        alias = replace(owner, revision_id=uuid4())
        store.put_attachment(connection, key, alias.name, alias)
        return Change(key=key, attached={(Alias, alias.name): alias})
    version = replace(owner, revision_id=uuid4())
    if version.version == LATEST:
        store.put_latest(connection, version, function.serving)
        return Change(key=key, latest=version, serving=function.serving)
    store.put_published(connection, version)
    return Change(key=key, published=(version,))
