"""Which events are JSON, and the words in which the others are refused."""

import json
import time

import pytest

from lambent.aws.errors import ApiError
from lambent.functions.quotas import Quotas
from lambent.invocation.payload import check_size, checked, event_units

SOURCE = "[Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: {}, column: {}]"
VALUE = "JSON String, Number, Array, Object or token 'null', 'true' or 'false'"


@pytest.mark.parametrize("event", [b"{}", b"null", b' "text" ', b"[1, 2.5e3]", '{"ä": "ö"}'.encode(), b"true"])
def test_json_passes_byte_for_byte(event: bytes) -> None:
    assert checked(event) is event


def test_deep_json_passes_up_to_lambdas_depth() -> None:
    event = b"[" * 1000 + b"]" * 1000
    assert checked(event) is event
    with pytest.raises(ApiError, match="Document nesting depth"):
        # Far beyond the stack of every Python; between the two the interpreter decides.
        checked(b"[" * 250_000 + b"]" * 250_000)


def test_an_empty_body_is_an_empty_object() -> None:
    assert checked(b"") == b"{}"


@pytest.mark.parametrize(
    ("event", "text", "line", "column"),
    [
        (b"abc", f"Unrecognized token 'abc': was expecting ({VALUE})", 1, 4),
        (b'{"a":\n nope}', f"Unrecognized token 'nope': was expecting ({VALUE})", 2, 6),
        (b'{"a":}', f"Unexpected character ('}}' (code 125)): expected a valid value ({VALUE})", 1, 6),
        (
            b'{"a" 1}',
            "Unexpected character ('1' (code 49)): was expecting a colon to separate field name and value",
            1,
            6,
        ),
        (b"{a:1}", "Unexpected character ('a' (code 97)): was expecting double-quote to start field name", 1, 2),
        (b"{'a':1}", "Unexpected character (''' (code 39)): was expecting double-quote to start field name", 1, 2),
        (b"[1 2]", "Unexpected character ('2' (code 50)): was expecting comma to separate Array entries", 1, 4),
        (b"1 2", "Unexpected character ('2' (code 50)): expected end of document", 1, 3),
        (b"\xb2", f"Unexpected character ('\xb2' (code 178)): expected a valid value ({VALUE})", 1, 1),
        (b"\x01", f"Unexpected character ((CTRL-CHAR, code 1)): expected a valid value ({VALUE})", 1, 1),
        (b'"\xa7"', "Invalid UTF-8 start byte 0xa7", 1, 3),
        (b'"abc', "Unexpected end-of-input: was expecting closing quote for a string value", 1, 5),
        (b"  ", "No content to map due to end-of-input", 1, 3),
        (
            b'{"a":[1]',
            f"Unexpected end-of-input: expected close marker for Object (start marker at {SOURCE.format(1, 1)})",
            1,
            9,
        ),
    ],
)
def test_a_refusal_speaks_like_jackson(event: bytes, text: str, line: int, column: int) -> None:
    with pytest.raises(ApiError) as refused:
        checked(event)
    assert refused.value.code == "InvalidRequestContentException"
    assert refused.value.message == (
        "Could not parse request body into json: Could not parse payload into json: "
        f"{text}\n at {SOURCE.format(line, column)}"
    )


@pytest.mark.parametrize("event", [b"\xff", b'"\xff"', b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b"\x00", b"-"])
def test_what_is_not_json_is_refused(event: bytes) -> None:
    with pytest.raises(ApiError):
        checked(event)


def test_a_refusal_of_a_large_body_is_quick() -> None:
    event = json.dumps([{"key": "value"}] * 300_000).encode()[:-1]
    began = time.process_time()
    with pytest.raises(ApiError):
        checked(event)
    assert time.process_time() - began < 1


def test_a_payload_over_six_megabytes_is_refused_in_lambdas_words() -> None:
    check_size(6_291_456, "RequestResponse", Quotas())
    with pytest.raises(ApiError) as refused:
        check_size(6_291_457, "RequestResponse", Quotas())
    assert (refused.value.code, refused.value.status) == ("RequestEntityTooLargeException", 413)
    assert refused.value.message == (
        "6291457 byte payload is too large for the RequestResponse invocation type (limit 6291456 bytes)"
    )
    with pytest.raises(ApiError, match=r"Event invocation type \(limit 1048576 bytes\)"):
        check_size(1_048_577, "Event", Quotas())
    check_size(1_048_577, "Event", Quotas(max_event_payload_bytes=2_000_000))


@pytest.mark.parametrize(
    ("size", "units"),
    [
        (0, 1),
        (1, 1),
        (256 * 1024, 1),
        (256 * 1024 + 1, 2),
        (320 * 1024, 2),
        (320 * 1024 + 1, 3),
        (1024 * 1024, 13),
    ],
)
def test_an_event_is_billed_as_one_request_and_one_for_each_further_64_kb(size: int, units: int) -> None:
    assert event_units(size) == units
