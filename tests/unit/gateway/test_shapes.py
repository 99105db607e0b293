"""Scalars as text: what comes from a path, a query or a header."""

from datetime import UTC, datetime

import pytest

from lambent.aws.errors import ApiError
from lambent.aws.models import service_model
from lambent.gateway.protocols.shapes import scalar_from_text, timestamp_from_text, timestamp_to_text

MOMENT = datetime(2026, 11, 20, 22, 4, 15, tzinfo=UTC)
INTEGER = service_model("lambda").shape_for("MaxListItems")
BOOLEAN = service_model("lambda").shape_for("Boolean")


@pytest.mark.parametrize(
    ("text", "format_name"),
    [
        ("2026-11-20T22:04:15Z", "iso8601"),
        ("2026-11-20T23:04:15+01:00", "iso8601"),
        ("Fri, 20 Nov 2026 22:04:15 GMT", "rfc822"),
        ("1795212255", "unixtimestamp"),
    ],
)
def test_timestamps_are_read_in_their_format(text: str, format_name: str) -> None:
    assert timestamp_from_text(text, format_name) == MOMENT


@pytest.mark.parametrize("format_name", ["iso8601", "rfc822", "unixtimestamp"])
def test_timestamps_are_written_as_they_are_read(format_name: str) -> None:
    assert timestamp_from_text(timestamp_to_text(MOMENT, format_name), format_name) == MOMENT


@pytest.mark.parametrize("format_name", ["iso8601", "rfc822", "unixtimestamp"])
@pytest.mark.parametrize("text", ["", "x", "1e999", "nan", "0001-01-01T00:00:00+23:59", "Mon, 99 Foo 2026", "9" * 400])
def test_anything_else_is_the_callers_mistake(text: str, format_name: str) -> None:
    with pytest.raises(ApiError, match="not a valid timestamp"):
        timestamp_from_text(text, format_name)


@pytest.mark.parametrize("text", ["", "x", "1.0", "1_0", " 1", "١", "0x1", "9" * 30, "2147483648", "-2147483649"])
def test_what_is_no_integer_is_refused(text: str) -> None:
    with pytest.raises(ApiError):
        scalar_from_text(INTEGER, text, timestamps="iso8601")
    with pytest.raises(ApiError):
        scalar_from_text(BOOLEAN, text, timestamps="iso8601")


def test_integers_may_have_a_sign() -> None:
    assert [scalar_from_text(INTEGER, text, timestamps="iso8601") for text in ("7", "-7", "+7")] == [7, -7, 7]
