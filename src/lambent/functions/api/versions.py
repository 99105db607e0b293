"""PublishVersion and ListVersionsByFunction."""

from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy import Connection

from lambent.aws.errors import invalid_parameter
from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.core.ids import uuid4
from lambent.functions import revise, store
from lambent.functions.api.options import refuse_without_effect
from lambent.functions.api.parts import Parts, changeable, existing, latest_only, page, refuse_in_state, target
from lambent.functions.api.read import list_key
from lambent.functions.api.shapes import code_sha256, configuration
from lambent.functions.api.stuck import cancel_if_stuck
from lambent.functions.changes import Change
from lambent.functions.records import Function, FunctionKey, State


def operations(parts: Parts) -> Operations:
    return {
        "PublishVersion": partial(publish_version, parts),
        "ListVersionsByFunction": partial(list_versions_by_function, parts),
    }


async def publish_version(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    key = latest_only(target(context, parameters))
    existing(parts.read_model.get(key), key)
    refuse_without_effect(parameters)
    await cancel_if_stuck(parts, key)

    def decide(connection: Connection) -> Change:
        function = changeable(connection, key, parameters.get("RevisionId"))
        refuse_in_state(function, State.FAILED)
        _check_code(function, parameters.get("CodeSha256"))
        unchanged = Change(key=key, latest=function.latest, serving=function.serving)
        return publish(connection, key, unchanged, parameters.get("Description"))

    change = await parts.changes.commit(decide)
    assert change.reply is not None
    return configuration(change.reply, parts.snapshots, arn=change.reply.qualified_arn)


async def list_versions_by_function(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    found = target(context, parameters)
    function = existing(parts.read_model.get(found.key), found.key)
    versions = [function.latest, *function.published.values()]
    chosen, marker = page(versions, parameters, parts.quotas, list_key)
    reply: dict[str, Any] = {
        "Versions": [
            configuration(version, parts.snapshots, arn=version.qualified_arn, listed=True) for version in chosen
        ]
    }
    return reply if marker is None else reply | {"NextMarker": marker}


def publish(connection: Connection, key: FunctionKey, before: Change, description: str | None) -> Change:
    """`before` with a version made of its `$LATEST`; the newest version again when nothing has changed since it."""
    latest = before.latest
    assert latest is not None
    newest = store.newest_published(connection, key)
    if newest is not None and newest.published_from == revise.fingerprint(latest):
        return replace(before, published=(newest,), reply=newest)
    version = revise.published(latest, store.next_number(connection, key), description, uuid4)
    latest = replace(latest, revision_id=uuid4())
    store.add_published(connection, version)
    store.put_latest(connection, latest, before.serving)
    return replace(before, latest=latest, published=(version,), reply=version)


def _check_code(function: Function, given: str | None) -> None:
    current = code_sha256(function.latest)
    if given and given != current:
        raise invalid_parameter(
            f"CodeSHA256 ({given}) is different from current CodeSHA256 in $LATEST ({current})."
            " Please try again with the CodeSHA256 in $LATEST."
        )
