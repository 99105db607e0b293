"""The pure parts of logs: chunks, positions and tokens, filter patterns, the merge of chunks, accepted batches."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.aws.errors import ApiError
from lambent.services.logs.accept import DAY_MS, TOO_NEW_MS, TOO_OLD_MS, decide
from lambent.services.logs.chunk import MAX_SPAN_MS, decode, encode, size_bytes
from lambent.services.logs.events import LogEvent, Pending, position, sequence_of, timestamp_of
from lambent.services.logs.filter_pattern import FilterPattern, parse, quote
from lambent.services.logs.read import merge
from lambent.services.logs.tokens import Bound, opaque, page_tokens, parse_bound, parse_opaque

NOW = 1_795_000_000_000
stamps = st.integers(0, 4_400_000_000_000)
sequences = st.integers(1, 2**62)
text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def refusal(read: Callable[[str], object], value: str) -> str | None:
    try:
        read(value)
    except ApiError as error:
        return error.code
    return None


@given(st.lists(st.builds(Pending, stamps, sequences, text), max_size=50), st.none() | stamps)
def test_chunks_give_back_the_events_they_were_made_of(events: list[Pending], ingested_ms: int | None) -> None:
    chunks = encode(events, ingested_ms)
    assert [event for chunk in chunks for event in decode(chunk.body)] == events
    for chunk in chunks:
        own = decode(chunk.body)
        assert chunk.first_ms == min(event.timestamp_ms for event in own)
        assert chunk.last_ms == max(event.timestamp_ms for event in own)
        assert chunk.last_ms - chunk.first_ms <= MAX_SPAN_MS
        assert chunk.last_sequence == max(event.sequence for event in own)
        assert chunk.raw_bytes == sum(len(event.message.encode()) + 26 for event in own)


def test_a_chunk_holds_a_megabyte_at_most() -> None:
    events = [Pending(NOW, number, "x" * 300_000) for number in range(10)]
    chunks = encode(events, None)
    assert [len(decode(chunk.body)) for chunk in chunks] == [3, 3, 3, 1]
    assert len(encode([Pending(NOW, 1, "x" * 2_000_000)], None)) == 1


@given(stamps, sequences, stamps, sequences)
def test_positions_are_ordered_as_events_are(a: int, m: int, b: int, n: int) -> None:
    assert (position(a, m) < position(b, n)) == ((a, m) < (b, n))
    assert (timestamp_of(position(a, m)), sequence_of(position(a, m))) == (a, m)


@given(st.booleans(), st.integers(0, 10**56 - 1))
def test_a_token_is_read_as_it_was_written(forward: bool, place: int) -> None:
    bound = Bound(forward, place)
    assert parse_bound(str(bound)) == bound


@given(st.lists(st.integers(1, 10**50), unique=True).map(sorted), st.booleans(), st.integers(1, 10**50))
def test_a_page_without_events_gives_the_token_back(places: list[int], forward: bool, at: int) -> None:
    asked = Bound(forward, at)
    tokens = page_tokens(places, asked)
    if places:
        assert parse_bound(tokens.forward) == Bound(True, places[-1])
        assert parse_bound(tokens.backward) == Bound(False, places[0])
    else:
        assert (tokens.forward if forward else tokens.backward) == str(asked)


@given(st.text())
def test_no_text_breaks_the_token_parsers(token: str) -> None:
    for read in (parse_bound, lambda value: parse_opaque(value, int, str), lambda value: parse_opaque(value, str)):
        assert refusal(read, token) in (None, "InvalidParameterException")


@given(st.integers(0, 10**56 - 1), st.text(st.characters(exclude_categories=["Cs"])))
def test_opaque_tokens_carry_numbers_and_names(number: int, name: str) -> None:
    assert parse_opaque(opaque(number, name), int, str) == [number, name]


@given(text, st.text(), st.text())
def test_a_quoted_text_matches_where_it_occurs(needle: str, before: str, after: str) -> None:
    pattern = parse(quote(needle))
    assert pattern.matches(before + needle + after)
    assert pattern.matches(before) == (needle in before)


@given(st.text(max_size=40))
def test_no_text_breaks_the_pattern_parser(source: str) -> None:
    assert refusal(lambda value: parse(value).matches("some message"), source) in (None, "InvalidParameterException")


@pytest.mark.parametrize(
    ("source", "matching", "other"),
    [
        ("", ["", "anything"], []),
        ("ERROR", ["an ERROR here", "ERRORS"], ["error"]),
        ("ERROR 400", ["400 ERROR"], ["ERROR", "400"]),
        ('"BAD REQUEST"', ["400 BAD REQUEST"], ["BAD  REQUEST"]),
        ("?ERROR ?WARN", ["ERROR", "WARN"], ["INFO"]),
        ("ERROR -EXITING", ["ERROR"], ["ERROR EXITING", "EXITING"]),
        ('-"two words"', ["two", "words"], ["two words"]),
        ('?"a b" ?c', ["a b", "c"], ["a"]),
        ("?ERROR REQUEST", ["REQUEST"], ["ERROR"]),
        (r'"say \"hi\""', ['say "hi"'], ["say hi"]),
    ],
)
def test_patterns_mean_what_the_user_guide_says(source: str, matching: list[str], other: list[str]) -> None:
    pattern = parse(source)
    assert [message for message in matching if not pattern.matches(message)] == []
    assert [message for message in other if pattern.matches(message)] == []


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ('{ $.level = "ERROR" }', "JSON filter patterns"),
        ("[ip, user, ...]", "Space-delimited filter patterns"),
        ("%AUTH.*%", "Regular expressions"),
        ("a:b", "Invalid character(s) in term 'a:b'"),
        ('"open', "unbalanced quotes"),
    ],
)
def test_other_patterns_are_refused_with_the_reason(source: str, reason: str) -> None:
    with pytest.raises(ApiError) as caught:
        parse(source)
    assert caught.value.code == "InvalidParameterException"
    assert reason in (caught.value.message or "")


chunk_events = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 10_000)), min_size=1, max_size=8)


@given(st.lists(chunk_events, max_size=8), chunk_events, st.booleans())
def test_merging_gives_each_event_once_and_in_order(
    groups: list[list[tuple[int, int]]], waiting: list[tuple[int, int]], forward: bool
) -> None:
    def event(pair: tuple[int, int]) -> LogEvent:
        return LogEvent(*pair, "m", 0, "s")

    def edge(pairs: list[tuple[int, int]]) -> int:
        return min(pairs)[0] if forward else max(pairs)[0]

    runs = [(edge(pairs), [event(pair) for pair in pairs]) for pairs in groups]
    runs.sort(key=lambda run: run[0], reverse=not forward)
    found = [found[:2] for found in merge(runs, [event(pair) for pair in waiting], forward=forward)]
    expected = sorted({pair for pairs in [*groups, waiting] for pair in pairs}, reverse=not forward)
    assert found == expected


@given(st.lists(st.integers(NOW - TOO_OLD_MS - 10, NOW + TOO_NEW_MS + 10), min_size=1), st.integers(0, NOW))
def test_accepted_events_are_a_run_between_the_rejected_ones(times: list[int], expired_before: int) -> None:
    events = [(stamp, "m") for stamp in sorted(times)]
    low = max(NOW - TOO_OLD_MS, expired_before)
    valid = [stamp for stamp, _ in events if low <= stamp <= NOW + TOO_NEW_MS]
    if valid and valid[-1] - valid[0] > DAY_MS:
        with pytest.raises(ApiError, match="cannot span more than 24 hours"):
            decide(events, now_ms=NOW, expired_before_ms=expired_before)
        return
    accepted = decide(events, now_ms=NOW, expired_before_ms=expired_before)
    taken = [stamp for stamp, _ in events[accepted.first : accepted.end]]
    assert taken == valid


@given(st.text())
def test_sizes_are_those_of_utf8(message: str) -> None:
    assert size_bytes(message) == len(message.encode("utf-8", "replace")) + 26


def test_a_plain_pattern_is_a_value() -> None:
    values: set[Any] = {parse("a -b"), FilterPattern(("a",), (), ("b",))}
    assert len(values) == 1
