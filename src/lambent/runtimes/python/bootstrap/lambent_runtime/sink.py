"""Where log records and reported errors go: standard output, or a pipe of the platform that keeps each one whole.

`_LAMBDA_TELEMETRY_LOG_FD` names that pipe. A frame is a type of 4 bytes, the length of the message in 4, its time in
microseconds in 8, all big-endian, and the message. Without the pipe, the reader of the output sees lines.
"""

import os
import sys
import time

from lambent_runtime import current

_JSON = 0xA55A0002
_TEXT = 0xA55A0003


class StandardLogSink:
    """`sys.stdout` as it is at that moment, so that a function can redirect it."""

    def log(self, text, level=0, as_json=False):
        sys.stdout.write(text)

    def log_lines(self, lines, as_json):
        # A carriage return keeps the lines in one event where lines are events.
        sys.stdout.write("\r".join(lines) + "\n")


class FramedLogSink:
    def __init__(self, fd):
        self._file = os.fdopen(fd, "wb", 0)

    def log(self, text, level=0, as_json=False):
        """`level` is one of logging's, rounded down to tens; 0 is none."""
        message = text.encode()
        kind = (_JSON if as_json else _TEXT) + (0 if level == 0 else (level // 10 + 1) * 4)
        time_us = time.time_ns() // 1000
        frame = kind.to_bytes(4, "big") + len(message).to_bytes(4, "big") + time_us.to_bytes(8, "big") + message
        self._file.write(frame)

    def log_lines(self, lines, as_json):
        self.log("\n".join(lines), 40, as_json)


_sinks = []


def current_sink():
    """Made at its first use: a module may be imported before it is known where records go."""
    if not _sinks:
        _sinks.append(StandardLogSink() if current.log_fd is None else FramedLogSink(current.log_fd))
    return _sinks[0]
