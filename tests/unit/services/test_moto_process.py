"""What goes wrong in moto's process is told to the one who asked."""

import socket
from concurrent.futures import Future
from typing import Any

from lambent.services.neighbours import child, frames
from lambent.services.neighbours.memory import MemoryLimit
from lambent.services.neighbours.process import LOG_S, LineLimit


def test_a_reply_that_cannot_be_written_is_a_failure_and_no_silence() -> None:
    ours, theirs = socket.socketpair()
    answer: Future[tuple[dict[str, Any], bytes]] = Future()
    answer.set_result(({"status": 200, "headers": [("x", b"bytes")]}, b"body"))
    with ours, theirs:
        ours.settimeout(10)
        child.Child(theirs, MemoryLimit(1 << 40))._reply({"id": 7, "service": "s3", "path": "/"}, answer)
        received = frames.receive(ours)
    assert received is not None
    assert received[0]["id"] == 7
    assert received[0]["failure"] == "failed"


def test_its_log_has_a_limit_by_the_minute() -> None:
    limit = LineLimit(2)
    assert [limit.admit(100.0) for _ in range(5)] == [True, True, None, False, False]
    assert limit.admit(100.0 + LOG_S) is True
