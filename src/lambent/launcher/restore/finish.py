"""The finisher of a restored sandbox: a fork of the launcher, trusted, outside of the sandbox that it makes.

First `making`: a template clones its runtime into new, empty namespaces, which get what a sandbox has. Then `finisher`
obeys the supervisor as the first process of another sandbox does.
"""

import os
import signal
import socket
import sys
from contextlib import suppress
from typing import NoReturn

from lambent.launcher import wire
from lambent.launcher.kernel import capabilities, syscalls
from lambent.launcher.restore import inspection
from lambent.launcher.restore.finisher import Finisher
from lambent.launcher.restore.making import Blueprint, Failed, Making

_FAILED = 70


def run(blueprint: Blueprint, control: socket.socket, template: socket.socket) -> NoReturn:
    """The whole life of a finisher, from right after the fork. `template` leads to the template's first process."""
    status = _FAILED
    try:
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.set_wakeup_fd(-1)  # The launcher's, which is closed now.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        syscalls.close_except((0, 1, 2, control.fileno(), template.fileno(), blueprint.proc))
        status = _live(blueprint, control, template)
    except Exception as error:  # noqa: BLE001 - the last line of this process: tell, then end
        if not isinstance(error, OSError | Failed | inspection.NotAClone):
            sys.excepthook(type(error), error, error.__traceback__)
        with suppress(OSError):
            wire.send(control, {"event": "failed", "reason": str(error)})
    finally:
        os._exit(status)


def _live(blueprint: Blueprint, control: socket.socket, template: socket.socket) -> int:
    made = Making(blueprint, template)
    clone = made.finish()
    capabilities.keep(capabilities.SYS_ADMIN, capabilities.KILL)
    wire.send(control, {"event": "ready", "sandbox": int(blueprint.slot)}, made.fds)
    for fd in made.fds.values():
        os.close(fd)
    Finisher(clone, made.proc, made.identity, control, template, made.join_later).serve()
    with suppress(OSError):
        made.tmp.discard()
    return 0
