"""Messages that a runtime frames in its output, so that one of several lines stays one event of the log.

The form is that of Lambda's telemetry log descriptor: a type of 4 bytes, the length of the message in 4, a time in 8,
all big-endian, and the message. Frames come down the pipe of standard output, between what the function prints: two
pipes would have no order. Anything that is no frame stays as it is. Pure; keeps at most one message.
"""

from collections.abc import Iterator

MARK = b"\xa5\x5a\x00"
"""No text has it: in UTF-8 a character would have to be followed by a Z and a null."""
_BEGUN = (MARK[:2], MARK[:1])
HEADER_BYTES = 16
MAX_MESSAGE_BYTES = 256 * 1024
"""CloudWatch's largest event; a longer message is cut into several."""


class LogFrames:
    """`split` the bytes of one process as they come, and take what is `unfinished` when it is gone."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = b""
        """The beginning of a frame, or of what may become one."""

    def has_none_in(self, data: bytes) -> bool:
        """Whether `data` is text alone; the quick question for nearly all output."""
        return not (self._held or MARK in data or data.endswith(_BEGUN))

    def split(self, data: bytes) -> Iterator[tuple[bytes, bool]]:
        """(bytes, whether they are a whole message) in the order in which they were written."""
        data = self._held + data
        self._held = b""
        at = 0
        while (start := data.find(MARK, at)) >= 0:
            if start > at:
                yield data[at:start], False
            at = start
            header = data[at : at + HEADER_BYTES]
            if len(header) > 3 and not _is_type(header[3]):
                at += len(MARK)
                yield MARK, False
                continue
            size = int.from_bytes(header[4:8], "big")
            end = at + HEADER_BYTES + min(size, MAX_MESSAGE_BYTES)
            if len(header) < HEADER_BYTES or end > len(data):
                self._held = data[at:]
                return
            yield data[at + HEADER_BYTES : end], True
            if size > MAX_MESSAGE_BYTES:
                data = header[:4] + (size - MAX_MESSAGE_BYTES).to_bytes(4, "big") + header[8:] + data[end:]
                end = 0
            at = end
        end = len(data) - _begun_mark(data[at:])
        self._held = data[end:]
        if end > at:
            yield data[at:end], False

    def unfinished_text(self) -> bytes:
        """Bytes that were kept because they may begin a mark; not kept any longer."""
        return b"" if self._held.startswith(MARK) else self._give_up()

    def unfinished_message(self) -> bytes:
        """Of a process that is gone: as much of its last message as came."""
        return self._give_up()[HEADER_BYTES:] if self._held.startswith(MARK) else b""

    def _give_up(self) -> bytes:
        held, self._held = self._held, b""
        return held


def _is_type(last: int) -> bool:
    """Of the type's last byte: 2 is JSON, 3 is text, above that the level."""
    return last & 3 in (2, 3) and last < 0x1C


def _begun_mark(data: bytes) -> int:
    """How many bytes at the end of `data` may be the beginning of a mark."""
    return next((len(begun) for begun in _BEGUN if data.endswith(begun)), 0)
