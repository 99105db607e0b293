"""Identifiers. Random ones come from the kernel, so that they differ between forks.

Those of each invocation are drawn ahead: a system call for 36 bytes costs as much as one for a hundred times as many.
What must not be guessed is not made of them.
"""

import os
import secrets
import string
from typing import Final

_LOWER = string.ascii_lowercase + string.digits
_AHEAD_BYTES: Final = 4096


class _Ahead:
    """Random bytes that were asked of the kernel before they are needed, as hexadecimal digits."""

    __slots__ = ("_at", "_digits")

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self._digits, self._at = "", 0

    def take(self, count: int) -> str:
        at, end = self._at, self._at + count
        if end > len(self._digits):
            self._digits = os.urandom(_AHEAD_BYTES).hex()
            at, end = 0, count
        self._at = end
        return self._digits[at:end]


_ahead = _Ahead()
os.register_at_fork(after_in_child=_ahead.forget)


def hex_digits(count: int) -> str:
    """Random digits, at most 8,192; not for secrets. For the event loop's thread alone."""
    return _ahead.take(count)


def uuid4() -> str:
    """A random UUID in its 36-character form; twice as fast as `str(uuid.uuid4())`."""
    return _as_uuid4(os.urandom(16).hex())


def request_id() -> str:
    """A UUID like `uuid4`, for what each invocation needs: of `hex_digits`."""
    return _as_uuid4(_ahead.take(32))


def _as_uuid4(h: str) -> str:
    variant = "89ab"[int(h[16], 16) & 3]
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-{variant}{h[17:20]}-{h[20:]}"


def hex32() -> str:
    return secrets.token_hex(16)


def lower32() -> str:
    """32 random characters of a-z and 0-9, for what becomes part of a host name."""
    return "".join(secrets.choice(_LOWER) for _ in range(32))
