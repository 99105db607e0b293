"""What tells this process to stop: signals, the end of who held it, the end of a process that it needs."""

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Final

SAME_SIGNAL_S: Final = 0.5
"""Wrappers such as timeout(1) signal the process and its group: two signals this close are one."""


def on_signals() -> asyncio.Event:
    """Set by SIGTERM or SIGINT; a second signal ends the process at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    first_s: float | None = None

    def on_signal() -> None:
        nonlocal first_s
        if first_s is not None and loop.time() - first_s > SAME_SIGNAL_S:
            # Sandboxes die with the launcher, and the launcher with this process.
            os._exit(1)
        first_s = first_s or loop.time()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    return stop


def at_end_of(held: int, stop: asyncio.Event) -> None:
    """A pipe and not the parent-death signal: that one is lost when this process changes its user."""
    loop = asyncio.get_running_loop()

    def on_readable() -> None:
        try:
            if os.read(held, 4096):
                return
        except BlockingIOError:
            return
        except OSError:
            # As good as ended: a terminal that is gone.
            pass
        loop.remove_reader(held)
        stop.set()

    loop.add_reader(held, on_readable)


def at_end_of_peer(channel: int, on_end: Callable[[], None]) -> Callable[[], object]:
    """Call `on_end` once when the socket `channel` has something to say unasked. Returns what ends the watch."""
    loop = asyncio.get_running_loop()

    def on_readable() -> None:
        loop.remove_reader(channel)
        on_end()

    loop.add_reader(channel, on_readable)
    return lambda: loop.remove_reader(channel)
