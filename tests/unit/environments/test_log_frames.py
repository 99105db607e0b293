"""Framed messages between the text of a function, however the bytes arrive."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.environments.log_frames import MARK, MAX_MESSAGE_BYTES, LogFrames

Pieces = list[tuple[bytes, bool]]


def frame(message: bytes, kind: bytes = b"\x03") -> bytes:
    return MARK + kind + len(message).to_bytes(4, "big") + bytes(8) + message


def joined(pieces: Pieces) -> Pieces:
    """Neighbouring texts as one: where text is cut is of no importance."""
    whole: Pieces = []
    for data, is_message in pieces:
        if whole and not is_message and not whole[-1][1]:
            whole[-1] = (whole[-1][0] + data, False)
        elif data or is_message:
            whole.append((data, is_message))
    return whole


texts = st.one_of(st.binary(), st.sampled_from([b"\xa5", b"\xa5Z", b"\xa5Z\x00", b"\xa5Z\x00\xff", "å".encode()]))


@given(
    st.lists(st.tuples(texts, st.booleans()), max_size=8),
    st.lists(st.integers(min_value=1, max_value=40), min_size=1, max_size=6),
)
def test_messages_come_whole_and_text_stays_as_it_is(pieces: Pieces, sizes: list[int]) -> None:
    # Text that ends in the beginning of a mark or of a header is a mark, once its bytes meet the next ones.
    pieces = [(data if is_message else data.replace(MARK, b""), is_message) for data, is_message in pieces]
    pieces = [(data if is_message else data + b".", is_message) for data, is_message in pieces]
    data = b"".join(frame(data) if is_message else data for data, is_message in pieces)
    frames = LogFrames()
    found: Pieces = []
    step = 0
    while data:
        size = sizes[step % len(sizes)]
        found += frames.split(data[:size])
        data, step = data[size:], step + 1
    found.append((frames.unfinished_text(), False))
    assert joined(found) == joined(pieces)


def test_a_mark_with_a_type_that_nobody_sends_is_text() -> None:
    frames = LogFrames()
    data = b"a" + MARK + b"\x04" + bytes(20) + MARK + b"\xff"
    assert joined(list(frames.split(data))) == [(data, False)]


@pytest.mark.parametrize("kind", [2, 3, 0x0A, 0x0F, 0x17, 0x1A, 0x1B])
def test_every_type_of_lambda_is_a_message(kind: int) -> None:
    assert list(LogFrames().split(frame(b"x\ny", bytes([kind])))) == [(b"x\ny", True)]


def test_a_message_over_the_largest_event_is_cut() -> None:
    message = b"x" * (2 * MAX_MESSAGE_BYTES + 5)
    found = list(LogFrames().split(b"a" + frame(message) + b"b"))
    assert [len(data) for data, is_message in found if is_message] == [MAX_MESSAGE_BYTES, MAX_MESSAGE_BYTES, 5]
    assert (found[0], found[-1]) == ((b"a", False), (b"b", False))


def test_what_a_process_left_unfinished_is_not_lost() -> None:
    frames = LogFrames()
    assert list(frames.split(frame(b"half a message")[:-4])) == []
    assert (frames.unfinished_text(), frames.unfinished_message()) == (b"", b"half a mes")
    assert list(frames.split(b"text\xa5")) == [(b"text", False)]
    assert (frames.unfinished_message(), frames.unfinished_text()) == (b"", b"\xa5")
    assert frames.has_none_in(b"text")
