"""Filters against records: the table of the specification, 6.7, and its behaviour 23."""

import json

import pytest

from lambent.event_sources.filter import Filters
from lambent.event_sources.sources import Kind

JSON, PLAIN = b'{"a":"x","n":3}', b"x"


@pytest.mark.parametrize(
    ("kind", "pattern", "data", "kept"),
    [
        # JSON data and an object: evaluated.
        (Kind.SQS, {"body": {"a": ["x"]}}, JSON, True),
        (Kind.SQS, {"body": {"a": ["y"]}}, JSON, False),
        (Kind.SQS, {"body": {"n": [{"numeric": ["<", 5]}]}}, JSON, True),
        (Kind.SQS, {"body": {"b": [{"exists": False}]}}, JSON, True),
        # JSON data and a list of texts: no match.
        (Kind.SQS, {"body": [JSON.decode()]}, JSON, False),
        (Kind.SQS, {"body": [{"exists": False}]}, JSON, False),
        # Plain text and a list: evaluated, where data may be text.
        (Kind.SQS, {"body": ["x"]}, PLAIN, True),
        (Kind.SQS, {"body": ["y"]}, PLAIN, False),
        (Kind.KAFKA, {"value": [{"prefix": "x"}]}, PLAIN, True),
        (Kind.MQ, {"data": ["x"]}, PLAIN, True),
        (Kind.KINESIS, {"data": ["x"]}, PLAIN, False),
        # Plain text and an object: no match, not even for what is absent.
        (Kind.SQS, {"body": {"a": ["x"]}}, PLAIN, False),
        (Kind.SQS, {"body": {"a": [{"exists": False}]}}, PLAIN, False),
        (Kind.KINESIS, {"data": {"a": [{"exists": False}]}}, PLAIN, False),
        (Kind.KINESIS, {"data": {"a": ["x"]}}, JSON, True),
        # No pattern for the data: only metadata count.
        (Kind.SQS, {"from": ["me"]}, PLAIN, True),
        (Kind.SQS, {"from": ["me"]}, JSON, True),
        (Kind.KINESIS, {"from": ["me"]}, b"\xff\xfe", True),
        (Kind.SQS, {"from": ["you"], "body": ["x"]}, PLAIN, False),
        # Each choice by itself.
        (Kind.SQS, {"$or": [{"body": {"a": ["x"]}}, {"from": ["you"]}]}, JSON, True),
        (Kind.SQS, {"$or": [{"body": {"a": ["x"]}}, {"from": ["me"]}]}, PLAIN, True),
        (Kind.SQS, {"$or": [{"body": {"a": ["x"]}}, {"from": ["you"]}]}, PLAIN, False),
        (Kind.DYNAMODB, {"dynamodb": {"NewImage": {"n": {"N": ["3"]}}}}, b'{"NewImage":{"n":{"N":"3"}}}', True),
        # Numbers of DynamoDB are strings.
        (
            Kind.DYNAMODB,
            {"dynamodb": {"NewImage": {"n": {"N": [{"numeric": ["=", 3]}]}}}},
            b'{"NewImage":{"n":{"N":"3"}}}',
            False,
        ),
        (Kind.DOCUMENTDB, {"event": {"operationType": ["insert"]}}, b'{"operationType":"insert"}', True),
    ],
)
def test_a_record_is_kept_or_dropped(kind: Kind, pattern: object, data: bytes, kept: bool) -> None:
    assert Filters.of(kind, [json.dumps(pattern)]).keep({"from": "me"}, data) is kept


def test_one_of_several_filters_is_enough_and_none_lets_everything_through() -> None:
    filters = Filters.of(Kind.SQS, ['{"body":["x"]}', '{"body":["y"]}'])
    assert [filters.keep({}, body) for body in (b"x", b"y", b"z")] == [True, True, False]
    assert Filters.of(Kind.SQS, []).keep({}, b"z")
