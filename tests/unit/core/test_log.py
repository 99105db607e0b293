"""The server's own log."""

import io
import logging
from collections.abc import Iterator

import pytest

from lambent.core import log


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("lambent").setLevel(logging.NOTSET)


def test_our_records_follow_the_level_and_those_of_libraries_stay_at_warning(stream: io.StringIO) -> None:
    log.configure("debug", stream)
    logging.getLogger("lambent.gateway").debug("one")
    logging.getLogger("botocore").info("two")
    logging.getLogger("botocore").warning("three")
    assert [line.rpartition(": ")[2] for line in stream.getvalue().splitlines()] == ["one", "three"]


def test_a_second_call_replaces_the_first(stream: io.StringIO) -> None:
    log.configure("info", io.StringIO())
    log.configure("info", stream)
    logging.getLogger("lambent").info("once")
    assert stream.getvalue().count("once") == 1
