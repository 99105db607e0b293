"""A creation that does not end: after six minutes the next call that would change the function cancels it.

As AWS documents it: the call finds the function in Failed, and an update can be tried again.
"""

from datetime import timedelta
from typing import Final

from sqlalchemy import Connection

from lambent.core.ids import uuid4
from lambent.functions import revise, store
from lambent.functions.api.parts import Parts, existing, refuse_in_state
from lambent.functions.changes import Change
from lambent.functions.records import FunctionKey, FunctionVersion, State

STUCK_AFTER: Final = timedelta(minutes=6)


class _Cancelled:
    """Implements `functions.ports.Refusal`."""

    reason = "The function was not ready within 6 minutes, and its creation was cancelled. Update it to try again."
    code = "InternalError"


async def cancel_if_stuck(parts: Parts, key: FunctionKey) -> None:
    """Nothing for any other function. A cancelled one is a conflict, and Failed from now on."""
    now = parts.clock.now()

    def is_stuck(version: FunctionVersion) -> bool:
        return version.state is State.PENDING and now - version.last_modified > STUCK_AFTER

    def cancel(connection: Connection) -> Change:
        latest = existing(store.load(connection, key), key).latest
        if not is_stuck(latest):
            return Change(key=key)
        failed = revise.settled(latest, _Cancelled(), None, uuid4)
        store.put_latest(connection, failed, None)
        return Change(key=key, latest=failed)

    if is_stuck(existing(parts.read_model.get(key), key).latest):
        await parts.changes.commit(cancel)
        refuse_in_state(existing(parts.read_model.get(key), key), State.FAILED)
