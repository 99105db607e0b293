"""The end of an invocation's log, for callers who ask for it."""

from collections import deque

TAIL_BYTES = 4096


class Tail:
    """The last `TAIL_BYTES` of what was added, in bounded memory."""

    __slots__ = ("_bytes", "_lines")

    def __init__(self) -> None:
        self._lines: deque[bytes] = deque()
        self._bytes = 0

    def add(self, line: str) -> None:
        data = line.encode()[-TAIL_BYTES:]
        self._lines.append(data)
        self._bytes += len(data)
        while self._bytes - len(self._lines[0]) >= TAIL_BYTES:
            self._bytes -= len(self._lines.popleft())

    def read(self) -> bytes:
        return b"".join(self._lines)[-TAIL_BYTES:]
