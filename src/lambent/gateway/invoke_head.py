"""The head of an Invoke that came whole in one read, recognised by its bytes.

For a third of what a parser with a callback for each header costs. Takes the plain form in which clients send it, and
nothing that could be read in two ways; whatever else is None, and for the parser.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from lambent.gateway.invoke import PREFIX

MOST_BYTES: Final = 8192
"""Of a head: a connection keeps the last one."""
_HEAD: Final = re.compile(
    rb"POST ("
    + re.escape(PREFIX.encode())
    + rb"[!-~]+) HTTP/1\.1\r\n((?:[0-9A-Za-z-]+: [!-~](?:[ -~]*[!-~])?\r\n)+)\r\n"
)
_LENGTH: Final = re.compile(r"[0-9]{1,5}", re.ASCII)


class RawHead(NamedTuple):
    target: bytes
    headers: Mapping[str, str]
    """Names in lower case."""
    content: bytes
    """All of it, with the empty line at its end."""
    message_bytes: int
    """With its body."""

    def begins(self, data: bytes) -> bool:
        """Whether `data` is one message with this very head. A client that changes nothing sends it again and again."""
        return len(data) == self.message_bytes and data.startswith(self.content)

    def body(self, data: bytes) -> bytes:
        return data[len(self.content) :]


def head_of(data: bytes) -> RawHead | None:
    """Of the one message that `data` is."""
    found = _HEAD.match(data, 0, MOST_BYTES)
    if found is None:
        return None
    lines = str(found[2], "ascii").split("\r\n")
    headers = {name.lower(): value for name, _, value in [line.partition(": ") for line in lines if line]}
    length = headers.get("content-length", "")
    # One line less than pieces: what was sent twice has to be joined.
    if _LENGTH.fullmatch(length) is None or len(headers) != len(lines) - 1:
        return None
    message_bytes = found.end() + int(length)
    return RawHead(found[1], headers, found[0], message_bytes) if len(data) == message_bytes else None
