"""Event patterns: whatever text comes is parsed or refused, and a pattern made from a document matches it."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lambent.aws.event_pattern import InvalidPattern, document, parse

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()
)
NAMES = st.text(min_size=1, max_size=5).filter(lambda name: name != "$or")
OBJECTS = st.recursive(
    st.dictionaries(NAMES, SCALARS, min_size=1, max_size=4),
    lambda inner: st.dictionaries(NAMES, inner, min_size=1, max_size=3),
    max_leaves=12,
)
OPERATORS = st.sampled_from(
    ["prefix", "suffix", "anything-but", "numeric", "exists", "equals-ignore-case", "cidr", "wildcard", "$or", "a"]
)
ODD = st.recursive(
    st.one_of(SCALARS, st.sampled_from([">", "<", "=", "10.0.0.0/8", "a*b", "\\"])),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(OPERATORS, inner, max_size=3)),
    max_leaves=15,
)


def exactly(value: Any) -> Any:
    """The pattern that names every value of an object."""
    return {name: exactly(item) if isinstance(item, dict) else [item] for name, item in value.items()}


@given(event=OBJECTS)
def test_the_pattern_of_all_its_values_matches_an_event(event: dict[str, Any]) -> None:
    assert parse(json.dumps(exactly(event))).matches(document(json.dumps(event)))


@given(event=OBJECTS, more=OBJECTS)
def test_further_keys_of_an_event_change_nothing(event: dict[str, Any], more: dict[str, Any]) -> None:
    assert parse(json.dumps(exactly(event))).matches(document(json.dumps({**more, **event})))


@given(pattern=ODD, event=ODD)
def test_any_json_is_a_pattern_that_answers_or_is_refused(pattern: Any, event: Any) -> None:
    try:
        parsed = parse(json.dumps(pattern))
    except InvalidPattern:
        return
    assert parsed.matches(document(json.dumps(event))) in (True, False)


@given(text=st.text(max_size=60))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        parse(text)
    except InvalidPattern:
        pass


@given(value=st.text(max_size=12), start=st.integers(0, 12), end=st.integers(0, 12))
def test_anything_but_is_the_opposite_of_its_operator(value: str, start: int, end: int) -> None:
    piece = json.dumps(value[start:end] or "x")
    event = document(json.dumps({"a": value}))
    for operator in ("prefix", "suffix", "equals-ignore-case"):
        positive = parse(f'{{"a":[{{"{operator}":{piece}}}]}}')
        negative = parse(f'{{"a":[{{"anything-but":{{"{operator}":{piece}}}}}]}}')
        assert positive.matches(event) is not negative.matches(event)
