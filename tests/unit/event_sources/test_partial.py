"""What a function's response says of its batch: behaviour 22 of the specification."""

import json
from typing import Any

import pytest

from lambent.event_sources.partial import failed

IDS = ("a", "b", "c")
WRONG: list[list[Any]] = [
    [{"foo": "a"}],
    [{"itemIdentifier": ""}],
    [{"itemIdentifier": None}],
    [{"itemIdentifier": 1}],
    [{"itemIdentifier": "z"}],
    [{"itemIdentifier": "a"}, {"itemIdentifier": "z"}],
    [{"itemIdentifier": "a"}, {"foo": "b"}],
    [None],
    ["a"],
    [[]],
]


@pytest.mark.parametrize(
    "response",
    [b"", b" \n", b"null", b'""', b"{}", b'{"other":1}', b'{"batchItemFailures":null}', b'{"batchItemFailures":[]}'],
)
def test_nothing_said_is_success(response: bytes) -> None:
    assert failed(response, IDS) == frozenset()


@pytest.mark.parametrize(
    "response",
    [
        b"{",
        b'"done"',
        b"1",
        b"true",
        b"[]",
        b'{"batchItemFailures":{}}',
        b'{"batchItemFailures":"a"}',
        *(json.dumps({"batchItemFailures": items}).encode() for items in WRONG),
    ],
)
def test_what_is_not_in_order_fails_the_whole_batch(response: bytes) -> None:
    assert failed(response, IDS) == frozenset(IDS)


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([{"itemIdentifier": "b"}], {"b"}),
        ([{"itemIdentifier": "b"}, {"itemIdentifier": "b"}], {"b"}),
        ([{"itemIdentifier": "c", "more": 1}, {"itemIdentifier": "a"}], {"a", "c"}),
    ],
)
def test_those_that_are_named_failed(items: Any, expected: set[str]) -> None:
    assert failed(json.dumps({"batchItemFailures": items}).encode(), IDS) == expected
