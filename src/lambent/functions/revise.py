"""How a version changes, as pure functions: what an update begins, what settling does, what publishing copies.

`revision_id` is new after each of them; `deployment_id` only when code or configuration are.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec

from lambent.core.lifecycle import step
from lambent.functions.ports import Refusal
from lambent.functions.records import FunctionVersion, State, UpdateStatus

CREATING_REASON = "The function is being created."
CREATING = "Creating"

STATES: Mapping[State, frozenset[State]] = {
    State.PENDING: frozenset({State.ACTIVE, State.FAILED}),
    State.ACTIVE: frozenset({State.ACTIVE, State.INACTIVE}),
    State.INACTIVE: frozenset({State.PENDING}),
    State.FAILED: frozenset({State.FAILED, State.ACTIVE}),
}
"""A failed function recovers when an update of it succeeds, and stays failed when that fails too."""

UPDATES: Mapping[UpdateStatus, frozenset[UpdateStatus]] = {
    UpdateStatus.IN_PROGRESS: frozenset({UpdateStatus.SUCCESSFUL, UpdateStatus.FAILED}),
    UpdateStatus.SUCCESSFUL: frozenset({UpdateStatus.IN_PROGRESS}),
    UpdateStatus.FAILED: frozenset({UpdateStatus.IN_PROGRESS}),
}

_UNPUBLISHED_FIELDS = frozenset(
    {
        *("version", "deployment_id", "revision_id", "last_modified", "published_from", "left_network"),
        *("fork_latest",),
        *("state", "state_reason", "state_reason_code", "runtime_version_arn"),
        *("last_update_status", "last_update_reason", "last_update_reason_code"),
    }
)
"""What differs between equal versions: everything else counts as a change worth publishing."""

NewId = Callable[[], str]


def updated(current: FunctionVersion, changes: Mapping[str, Any], now: datetime, new_id: NewId) -> FunctionVersion:
    """`$LATEST` at the start of an update. The text of a creation is what AWS says here too."""
    status = step(UPDATES, current.last_update_status or UpdateStatus.SUCCESSFUL, UpdateStatus.IN_PROGRESS)
    return replace(
        current,
        **changes,
        deployment_id=new_id(),
        revision_id=new_id(),
        last_modified=now,
        last_update_status=status,
        last_update_reason=CREATING_REASON,
        last_update_reason_code=CREATING,
    )


def settled(
    current: FunctionVersion,
    refusal: Refusal | None,
    runtime_version_arn: str | None,
    new_id: NewId,
    note: str | None = None,
) -> FunctionVersion:
    """The end of a creation or of an update: usable, or failed with the reason. `note`: what is missing of it all the
    same."""
    current = replace(current, runtime_version_arn=runtime_version_arn)
    if current.state is State.PENDING:
        return _created(current, refusal, new_id, note)
    if refusal is not None:
        return replace(
            current,
            revision_id=new_id(),
            last_update_status=step(UPDATES, UpdateStatus.IN_PROGRESS, UpdateStatus.FAILED),
            last_update_reason=refusal.reason,
            last_update_reason_code=refusal.code,
        )
    return replace(
        current,
        revision_id=new_id(),
        state=step(STATES, current.state, State.ACTIVE),
        state_reason=None,
        state_reason_code=None,
        last_update_status=step(UPDATES, UpdateStatus.IN_PROGRESS, UpdateStatus.SUCCESSFUL),
        last_update_reason=None,
        last_update_reason_code=None,
    )


def _created(current: FunctionVersion, refusal: Refusal | None, new_id: NewId, note: str | None) -> FunctionVersion:
    target = State.ACTIVE if refusal is None else State.FAILED
    reason, code = (note, None) if refusal is None else (refusal.reason, refusal.code)
    return replace(
        current,
        revision_id=new_id(),
        state=step(STATES, current.state, target),
        state_reason=reason,
        state_reason_code=code,
        last_update_status=UpdateStatus.SUCCESSFUL if refusal is None else UpdateStatus.FAILED,
        last_update_reason=None if refusal is None else reason,
        last_update_reason_code=code,
    )


def published(latest: FunctionVersion, number: int, description: str | None, new_id: NewId) -> FunctionVersion:
    """An immutable copy of `$LATEST`. Pending while that is on its way or a snapshot is to be taken, usable at once
    otherwise."""
    version = replace(
        latest,
        version=str(number),
        description=latest.description if description is None else description,
        deployment_id=new_id(),
        revision_id=new_id(),
        published_from=fingerprint(latest),
    )
    if latest.settled and not version.has_snapshot:
        return version
    return replace(
        version,
        state=State.PENDING,
        state_reason=CREATING_REASON,
        state_reason_code=CREATING,
        last_update_status=None,
        last_update_reason=None,
        last_update_reason_code=None,
    )


def fingerprint(version: FunctionVersion) -> str:
    """Equal for versions that differ in nothing that AWS counts as a change."""
    content = {k: v for k, v in msgspec.to_builtins(version).items() if k not in _UNPUBLISHED_FIELDS}
    return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()
