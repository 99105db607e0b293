"""Lifecycle configurations: what is kept, and when objects expire by it (spec 3.2)."""

from datetime import UTC, datetime
from typing import Any

import pytest

from lambent.aws.errors import ApiError
from lambent.services.s3.configs.lifecycle import checked, due_ms, expiration, rules_of, smallest

ALL = {"And": {"Prefix": "a", "ObjectSizeGreaterThan": 1, "Tags": [{"Key": "k", "Value": "v"}]}}
DAY = {"Days": 1}


def rule(**values: Any) -> dict[str, Any]:
    return {"ID": "r", "Status": "Enabled", "Filter": {}, "Expiration": DAY} | values


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (rule(Status="on"), "MalformedXML"),
        ({"ID": "r", "Status": "Enabled", "Expiration": DAY}, "MalformedXML"),
        (rule(Prefix=""), "MalformedXML"),
        (rule(Filter={"Prefix": "a", "ObjectSizeLessThan": 1}), "MalformedXML"),
        (rule(Filter={"And": {"Prefix": "a"}}), "MalformedXML"),
        (rule(Expiration={"Days": 1, "ExpiredObjectDeleteMarker": True}), "MalformedXML"),
        (rule(Expiration={}), "MalformedXML"),
        (rule(NoncurrentVersionExpiration={"NewerNoncurrentVersions": 1}), "MalformedXML"),
        (rule(Expiration={"Days": 0}), "InvalidArgument"),
        (rule(Expiration={"Date": datetime(2026, 1, 1, 12, tzinfo=UTC)}), "InvalidArgument"),
        (rule(Transitions=[{"Days": 1, "StorageClass": "STANDARD"}]), "MalformedXML"),
        (rule(Expiration={"Days": 90}, Transitions=[{"Days": 29, "StorageClass": "STANDARD_IA"}]), "InvalidArgument"),
        (rule(Expiration={"Days": 9}, Transitions=[{"Days": 9, "StorageClass": "GLACIER"}]), "InvalidArgument"),
        (
            rule(Filter={"And": {"Tags": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]}}),
            "InvalidRequest",
        ),
    ],
)
def test_a_rule_that_is_none(given: dict[str, Any], code: str) -> None:
    with pytest.raises(ApiError) as refused:
        checked({"Rules": [given]})
    assert refused.value.code == code


def test_ids_are_made_and_are_unique() -> None:
    made = {name: value for name, value in rule().items() if name != "ID"}
    assert checked({"Rules": [made]})["Rules"][0]["ID"]
    with pytest.raises(ApiError, match="Rule ID must be unique"):
        checked({"Rules": [rule(), rule()]})


def test_an_unknown_smallest_size_is_refused() -> None:
    assert smallest(None) == "all_storage_classes_128K"
    with pytest.raises(ApiError, match="Invalid TransitionDefaultMinimumObjectSize found: x"):
        smallest("x")


def test_days_end_at_the_next_midnight() -> None:
    written = int(datetime(2026, 10, 12, 9, 8, 7, tzinfo=UTC).timestamp() * 1000)
    assert due_ms(written, 1) == int(datetime(2026, 10, 14, tzinfo=UTC).timestamp() * 1000)


def test_the_header_tells_the_earliest_of_the_rules_that_match() -> None:
    rules = rules_of(
        checked(
            {
                "Rules": [
                    rule(ID="late", Expiration={"Days": 9}),
                    rule(ID="by prefix", Filter={"Prefix": "logs/"}),
                    rule(ID="off", Status="Disabled"),
                    rule(ID="markers", Expiration={"ExpiredObjectDeleteMarker": True}),
                ]
            }
        )
    )
    written = int(datetime(2026, 10, 12, 9, 8, 7, tzinfo=UTC).timestamp() * 1000)
    shown = expiration(rules, "logs/a", 1, {}, written)
    assert shown == 'expiry-date="Wed, 14 Oct 2026 00:00:00 GMT", rule-id="by%20prefix"'
    assert 'rule-id="late"' in expiration(rules, "other", 1, {}, written)
    assert not expiration(rules[2:], "other", 1, {}, written)


@pytest.mark.parametrize(
    ("filter_", "key", "size", "tags", "about"),
    [
        ({}, "a", 0, {}, True),
        ({"Prefix": "b"}, "a", 0, {}, False),
        ({"Tag": {"Key": "k", "Value": "v"}}, "a", 0, {"k": "v", "l": ""}, True),
        ({"Tag": {"Key": "k", "Value": "v"}}, "a", 0, {"k": "w"}, False),
        ({"ObjectSizeGreaterThan": 10}, "a", 10, {}, False),
        ({"ObjectSizeLessThan": 10}, "a", 9, {}, True),
        (ALL, "ab", 2, {"k": "v"}, True),
        (ALL, "ab", 2, {}, False),
    ],
)
def test_what_a_rule_is_about(filter_: dict[str, Any], key: str, size: int, tags: dict[str, str], about: bool) -> None:
    (only,) = rules_of(checked({"Rules": [rule(Filter=filter_)]}))
    assert only.is_about(key, size, tags) is about
