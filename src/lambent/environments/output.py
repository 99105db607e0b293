"""The output of a function: from the pipe of its sandbox to lines, within bounds.

Owns line splitting and the share of the event loop that one function may take with its output. A function that
writes faster than it is read blocks in its own `write`; nobody else waits for it. A message that the runtime framed is
handed over whole.
"""

import asyncio
import os
import select
import time
from collections.abc import Callable

from lambent.environments.log_frames import LogFrames

MAX_LINE_BYTES = 256 * 1024
"""CloudWatch's largest event; a longer line is split."""
STEP_BYTES = 16 * 1024
"""What is read at one go: 0.1 ms of work for usual lines, 10 ms for a flood of empty ones."""
REST_AFTER_S = 0.001
"""A step that took longer is followed by a rest of twice its time."""
BURST_STEPS = 64
BURST_S = 0.05
FLOOD_REST_S = 0.002
"""After 1 MB without a gap, or 50 ms of work, output is a flood: 8 MB/s, faster than any log is read and slower than
it is stored, and a third of the loop for all floods together."""
PIPE_BYTES = 1024 * 1024
"""The most that a pipe holds: reading this much is reading all that was there when it began."""


class Turns:
    """Keeps floods apart: each rests until those that came before it have had their share of the loop."""

    __slots__ = ("_taken_until",)

    def __init__(self) -> None:
        self._taken_until = 0.0

    def rest_after(self, took_s: float) -> float:
        now = time.perf_counter()
        self._taken_until = max(self._taken_until, now - took_s) + 3 * took_s
        return self._taken_until - now


class Output:
    """Reads `fd` (non-blocking; owned by the sandbox) and hands each line to `write`, line break included."""

    __slots__ = (
        "_burden_s",
        "_fd",
        "_frames",
        "_full_steps",
        "_left",
        "_loop",
        "_partial",
        "_partial_bytes",
        "_poll",
        "_rest",
        "_turns",
        "_when_empty",
        "_write",
    )

    def __init__(self, fd: int, write: Callable[[str], None], turns: Turns) -> None:
        """`turns` is one for all outputs of a machine."""
        self._fd: int | None = fd
        self._write = write
        self._turns = turns
        self._partial: list[bytes] = []
        self._partial_bytes = 0
        self._frames = LogFrames()
        self._rest: asyncio.TimerHandle | None = None
        self._when_empty: Callable[[], None] | None = None
        self._left = 0
        self._full_steps = 0
        self._burden_s = 0.0
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(fd, self._readable)

    def drain(self) -> bool:
        """Read what the pipe holds now, unless that is much. Whether it is empty."""
        # Most invocations print nothing, and to be told so costs a quarter of a read that fails.
        return not self._poll.poll(0) or self._read() < STEP_BYTES

    def when_empty(self, then: Callable[[], None]) -> None:
        """Call `then` once all is read that the pipe holds now; what is written meanwhile may come with it."""
        self._when_empty = then
        self._left = PIPE_BYTES
        if self._rest is None:
            # A pipe that is empty already would never be readable.
            self._loop.call_soon(self._readable)

    async def emptied(self) -> None:
        """Wait until all is read that the pipe holds now."""
        if not self.drain():
            empty = asyncio.Event()
            self.when_empty(empty.set)
            await empty.wait()

    def flush(self) -> None:
        """Hand over an unfinished last line as it is."""
        if begun := self._frames.unfinished_text():
            self._partial.append(begun)
        if self._partial:
            line = b"".join(self._partial)
            self._partial.clear()
            self._partial_bytes = 0
            self._write(line.decode("utf-8", "replace"))

    def finish(self) -> None:
        """The process is gone: hand over what it left unfinished as it is."""
        self._take(self._frames.unfinished_message(), True)
        self.flush()

    def close(self) -> None:
        """Let go of the descriptor. Safe to call twice."""
        self.drain()
        self.finish()
        self._forget()

    def _forget(self) -> None:
        if self._fd is None:
            return
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        else:
            self._loop.remove_reader(self._fd)
        self._poll.unregister(self._fd)
        self._fd = None

    def _readable(self) -> None:
        if self._rest is not None:
            return
        before = time.perf_counter()
        size = self._read()
        self._left -= size
        if self._when_empty is not None and (size < STEP_BYTES or self._left <= 0):
            then, self._when_empty = self._when_empty, None
            then()
        took = time.perf_counter() - before
        if size < STEP_BYTES:
            self._full_steps, self._burden_s = 0, 0.0
        else:
            self._full_steps, self._burden_s = self._full_steps + 1, self._burden_s + took
        rest = self._rest_after(took)
        if rest and self._fd is not None:
            self._loop.remove_reader(self._fd)
            self._rest = self._loop.call_later(rest, self._resume)
        elif self._when_empty is not None:
            self._loop.call_soon(self._readable)

    def _rest_after(self, took_s: float) -> float:
        if self._full_steps > BURST_STEPS or self._burden_s > BURST_S:
            return max(self._turns.rest_after(took_s), FLOOD_REST_S)
        return 2 * took_s if took_s > REST_AFTER_S else 0.0

    def _resume(self) -> None:
        self._rest = None
        if self._fd is not None:
            self._loop.add_reader(self._fd, self._readable)
            if self._when_empty is not None:
                self._loop.call_soon(self._readable)

    def _read(self) -> int:
        """One step; the number of bytes, less than `STEP_BYTES` when the pipe is empty now."""
        if self._fd is None:
            return 0
        try:
            data = os.read(self._fd, STEP_BYTES)
        except BlockingIOError:
            return 0
        if not data:
            # Every write end is closed: the sandbox is gone.
            self._forget()
            return 0
        self._split(data)
        return len(data)

    def _split(self, data: bytes) -> None:
        if self._frames.has_none_in(data):
            self._split_lines(data)
            return
        for piece, is_message in self._frames.split(data):
            self._take(piece, is_message)

    def _take(self, data: bytes, is_message: bool) -> None:
        if not is_message:
            self._split_lines(data)
        elif data:
            # What was printed before it comes before it. A reported error ends without a line break, as in Lambda.
            self.flush()
            self._write(data.decode("utf-8", "replace"))

    def _split_lines(self, data: bytes) -> None:
        lines = data.split(b"\n")
        rest = lines.pop()
        for line in lines:
            if self._partial:
                self._partial.append(line)
                line = b"".join(self._partial)
                self._partial.clear()
                self._partial_bytes = 0
            self._write((line + b"\n").decode("utf-8", "replace"))
        if rest:
            self._partial.append(rest)
            self._partial_bytes += len(rest)
            if self._partial_bytes >= MAX_LINE_BYTES:
                self.flush()
