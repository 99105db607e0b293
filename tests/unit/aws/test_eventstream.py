"""Event stream messages: the bytes of the specification, read back by botocore and by our own decoder."""

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from lambent.aws.eventstream import Corrupt, Decoder, Message, encode

TEXT = st.text(max_size=40)
MESSAGES = st.lists(st.tuples(st.dictionaries(st.text(min_size=1, max_size=20), TEXT, max_size=4), st.binary()))


@given(MESSAGES)
def test_botocore_reads_what_is_written(messages: list[tuple[dict[str, str], bytes]]) -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(b"".join(encode(headers, payload) for headers, payload in messages))
    assert [(each.headers, each.payload) for each in buffer] == messages


@given(MESSAGES, st.integers(1, 50))
def test_a_stream_may_be_cut_anywhere(messages: list[tuple[dict[str, str], bytes]], size: int) -> None:
    data = b"".join(encode(headers, payload) for headers, payload in messages)
    decoder = Decoder()
    found = [each for at in range(0, len(data), size) for each in decoder.feed(data[at : at + size])]
    assert found == [Message(headers, payload) for headers, payload in messages]


def test_the_example_of_the_specification() -> None:
    """Of Smithy's event stream encoding: a message without headers and payload."""
    assert encode({}, b"") == bytes.fromhex("000000100000000005c248eb7d98c8ff")


@pytest.mark.parametrize("at", [0, 5, 9, 14, 20])
def test_a_changed_byte_is_found(at: int) -> None:
    data = bytearray(encode({":event-type": "a"}, b"payload"))
    data[at] ^= 1
    with pytest.raises(Corrupt):
        list(Decoder().feed(bytes(data)))
