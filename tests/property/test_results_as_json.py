"""What a handler returns becomes the same JSON as with AWS's client, for any value; and any event is read back."""

import collections
import importlib
import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from awslambdaric.lambda_runtime_exception import FaultException
from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller
from hypothesis import given
from hypothesis import strategies as st

BOOTSTRAP = Path(__file__).parents[2] / "src/lambent/runtimes/python/bootstrap"

Point = collections.namedtuple("Point", "x y")


class Text(str):
    __slots__ = ()


TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
ODD = PLAIN | st.decimals() | st.binary(max_size=8) | TEXT.map(Text) | st.complex_numbers() | st.just(...)
KEYS = TEXT | st.integers() | st.booleans() | st.none() | st.floats() | TEXT.map(Text) | st.binary(max_size=4)


def nested(leaves: st.SearchStrategy[Any], keys: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=5)
            | st.dictionaries(keys, inner, max_size=5)
            | st.tuples(inner, inner)
            | st.tuples(inner, inner).map(lambda pair: Point(*pair))
        ),
        max_leaves=20,
    )


@pytest.fixture(scope="module")
def event() -> Any:
    sys.path.insert(0, str(BOOTSTRAP))
    try:
        return importlib.import_module("lambent_runtime.event")
    finally:
        sys.path.remove(str(BOOTSTRAP))


def outcome(marshal: Any, value: Any) -> Any:
    try:
        return marshal(value)[0]
    except Exception as error:  # noqa: BLE001
        return getattr(error, "msg", None) or str(error)


@given(value=nested(PLAIN, TEXT) | nested(ODD, KEYS))
def test_a_result_is_written_as_by_awslambdaric(event: Any, value: Any) -> None:
    # Outside of Lambda both take the rules before Python 3.12: everything escaped.
    assert outcome(event.encode_response, value) == outcome(LambdaMarshaller().marshal_response, value)


@given(
    value=nested(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT, TEXT
    )
)
def test_an_event_is_read_as_it_was_sent(event: Any, value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False)
    assert event.decode(text.encode()) == json.loads(text)


@given(body=st.binary(max_size=30))
def test_what_is_no_json_is_a_fault_and_nothing_else(event: Any, body: bytes) -> None:
    try:
        expected = LambdaMarshaller().unmarshal_request(body)
    except FaultException:
        with pytest.raises(Exception, match="Unable to unmarshal input"):
            event.decode(body)
    else:
        assert event.decode(body) == expected


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("-Infinity"), {1: {2: Point(1, Decimal("1E-7"))}}])
def test_examples_of_odd_values(event: Any, value: Any) -> None:
    assert outcome(event.encode_response, value) == outcome(LambdaMarshaller().marshal_response, value)
