"""The life of an extension as a table, and what is known of one.

Names are those that Lambda prints in EXTENSION lines and in the texts of InvalidExtensionState. External extensions
are processes of their own, started from `/opt/extensions`; internal ones are threads of the runtime, which never see
a SHUTDOWN and have no process that could end.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from lambent.environments.runtime_http import Connection

MAX_EXTENSIONS = 10


class ExtensionState(StrEnum):
    STARTED = "Started"
    """Launched; it has not registered."""
    REGISTERED = "Registered"
    READY = "Ready"
    """It waits in `/event/next`."""
    RUNNING = "Running"
    """It has an event and has not asked for the next one."""
    INIT_ERROR = "InitError"
    EXIT_ERROR = "ExitError"
    LAUNCH_ERROR = "LaunchError"
    EXITED = "Exited"
    """By itself, after SHUTDOWN."""
    SHUTDOWN_FAILED = "ShutdownFailed"


NEXT: Mapping[ExtensionState, frozenset[ExtensionState]] = {
    ExtensionState.STARTED: frozenset({ExtensionState.REGISTERED, ExtensionState.LAUNCH_ERROR}),
    ExtensionState.REGISTERED: frozenset({ExtensionState.READY, ExtensionState.INIT_ERROR, ExtensionState.EXIT_ERROR}),
    ExtensionState.READY: frozenset({ExtensionState.RUNNING, ExtensionState.EXIT_ERROR}),
    ExtensionState.RUNNING: frozenset(
        {
            ExtensionState.READY,
            ExtensionState.EXIT_ERROR,
            ExtensionState.EXITED,
            ExtensionState.SHUTDOWN_FAILED,
        }
    ),
    # Reported again, the first report stays.
    ExtensionState.INIT_ERROR: frozenset({ExtensionState.INIT_ERROR}),
    ExtensionState.EXIT_ERROR: frozenset({ExtensionState.EXIT_ERROR}),
    ExtensionState.LAUNCH_ERROR: frozenset(),
    ExtensionState.EXITED: frozenset(),
    ExtensionState.SHUTDOWN_FAILED: frozenset(),
}


class Event(StrEnum):
    INVOKE = "INVOKE"
    SHUTDOWN = "SHUTDOWN"


@dataclass(slots=True, eq=False)
class Extension:
    """One extension, from its launch or its registration to the end of its processes."""

    name: str
    identifier: str
    external: bool
    state: ExtensionState = ExtensionState.STARTED
    events: tuple[Event, ...] = ()
    error_type: str | None = None
    """What it reported in `Lambda-Extension-Function-Error-Type`, or why it could not be launched."""
    parked: Connection | None = None
    """The connection that waits for its next event."""
    pending: bytes | None = None
    """An event that it gets when it asks."""

    def can(self, state: ExtensionState) -> bool:
        return state in NEXT[self.state]
