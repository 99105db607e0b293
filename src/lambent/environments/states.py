"""The life of an execution environment as a table.

READY covers both a runtime parked in `/next` and an environment whose runtime must be started again inside the next
invocation (after a failed Init or a Reset): AWS keeps such an environment, its id, its log stream and its /tmp.
"""

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    STARTING = "Starting"
    """The sandbox is built and the Init phase runs."""
    READY = "Ready"
    BUSY = "Busy"
    """One invocation runs; it ends when the runtime asks for the next one."""
    RESETTING = "Resetting"
    """After a time-out or an exit: every process is killed, /tmp stays."""
    STOPPING = "Stopping"
    STOPPED = "Stopped"

    # An enum's own is Python, and each invocation looks four times into the table.
    __hash__ = str.__hash__


NEXT: Mapping[State, frozenset[State]] = {
    State.STARTING: frozenset({State.READY, State.STOPPING}),
    State.READY: frozenset({State.BUSY, State.STOPPING}),
    State.BUSY: frozenset({State.READY, State.RESETTING, State.STOPPING}),
    State.RESETTING: frozenset({State.READY, State.STOPPING}),
    State.STOPPING: frozenset({State.STOPPED}),
    State.STOPPED: frozenset(),
}
