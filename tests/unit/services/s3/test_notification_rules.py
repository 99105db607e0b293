"""Which configuration of notifications is kept, and whom a change is told."""

from typing import Any

import pytest

from lambent.aws.errors import ApiError
from lambent.aws.models import service_model
from lambent.services.s3.notifications.rules import Rule, rules_of
from lambent.services.s3.notifications.validation import EVENTS, OVERLAP, checked

QUEUE = "arn:aws:sqs:us-east-1:000000000000:photos"
TOPIC = "arn:aws:sns:us-east-1:000000000000:photos"
FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:thumbnail"


def queue(*events: str, prefix: str | None = None, suffix: str | None = None, **more: Any) -> dict[str, Any]:
    rules = [{"Name": name, "Value": value} for name, value in (("prefix", prefix), ("suffix", suffix)) if value]
    found: dict[str, Any] = {"QueueArn": QUEUE, "Events": list(events or ("s3:ObjectCreated:*",)), **more}
    return found | ({"Filter": {"Key": {"FilterRules": rules}}} if rules else {})


def kept(*queues: dict[str, Any], **more: Any) -> dict[str, Any]:
    return checked({"QueueConfigurations": list(queues), **more}, iter(f"id-{number}" for number in range(9)).__next__)


def refused(*queues: dict[str, Any], **more: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        kept(*queues, **more)
    return caught.value


def test_every_event_of_the_model_is_known() -> None:
    model = service_model("s3")
    assert set(model.shape_for("Event").enum) <= EVENTS


def test_an_id_is_made_and_filter_names_are_spelled_as_aws_does() -> None:
    document = kept(queue(prefix="in/"), queue("s3:ObjectRemoved:*", Id="mine"), EventBridgeConfiguration={})
    first, second = document["QueueConfigurations"]
    assert (first["Id"], second["Id"]) == ("id-0", "mine")
    assert first["Filter"] == {"Key": {"FilterRules": [{"Name": "Prefix", "Value": "in/"}]}}
    assert document["EventBridgeConfiguration"] == {}
    assert rules_of(document).event_bridge


def test_a_filter_may_have_an_empty_value() -> None:
    empty = queue() | {"Filter": {"Key": {"FilterRules": [{"Name": "Suffix", "Value": ""}]}}}
    assert kept(empty)["QueueConfigurations"][0]["Filter"]["Key"]["FilterRules"] == [{"Name": "Suffix", "Value": ""}]


@pytest.mark.parametrize(
    ("given", "code", "name"),
    [
        (queue(QueueArn="photos"), "InvalidArgument", "Queue"),
        (queue(QueueArn=TOPIC), "InvalidArgument", "Queue"),
        (queue("s3:ObjectCreated:Upload"), "InvalidArgument", "Event"),
        (queue("ObjectCreated:*"), "InvalidArgument", "Event"),
        (queue() | {"Events": []}, "MalformedXML", None),
        (queue() | {"Filter": {"Key": {"FilterRules": [{"Name": "infix", "Value": "a"}]}}}, "InvalidArgument", None),
        (queue() | {"Filter": {"Key": {"FilterRules": [{"Name": "prefix"}]}}}, "MalformedXML", None),
        (queue() | {"Filter": {"Key": {"FilterRules": [{"Value": "a"}]}}}, "MalformedXML", None),
    ],
)
def test_what_is_wrong_with_one_configuration_is_named(given: dict[str, Any], code: str, name: str | None) -> None:
    error = refused(given)
    assert error.code == code
    if name is not None:
        assert error.members["ArgumentName"] == name


def test_an_arn_that_is_none_is_told_before_all_else() -> None:
    error = refused(queue("nonsense"), LambdaFunctionConfigurations=[{"LambdaFunctionArn": "f", "Events": []}])
    assert error.message == "The ARN could not be parsed"
    assert error.members == {"ArgumentName": "CloudFunction", "ArgumentValue": "f"}


@pytest.mark.parametrize(
    "queues",
    [
        (queue(), queue()),
        (queue(), queue("s3:ObjectCreated:Put", prefix="a")),
        (queue(prefix="a"), queue(prefix="ab")),
        (queue(suffix=".jpg"), queue(suffix="g")),
        (queue(prefix="a"), queue(suffix="b")),
        (queue("s3:ObjectCreated:*", "s3:ObjectCreated:Put"),),
    ],
)
def test_two_rules_that_one_change_could_meet_overlap(queues: tuple[dict[str, Any], ...]) -> None:
    error = refused(*queues)
    assert (error.code, error.message) == ("InvalidArgument", OVERLAP)


@pytest.mark.parametrize(
    "queues",
    [
        (queue(prefix="a"), queue(prefix="b")),
        (queue(suffix=".jpg"), queue(suffix=".png")),
        (queue(prefix="a", suffix=".jpg"), queue(prefix="a", suffix=".png")),
        (queue("s3:ObjectCreated:Put"), queue("s3:ObjectCreated:Copy")),
        (queue(), queue("s3:ObjectRemoved:*")),
    ],
)
def test_rules_that_no_change_can_meet_together_are_kept(queues: tuple[dict[str, Any], ...]) -> None:
    assert len(kept(*queues)["QueueConfigurations"]) == len(queues)


def test_rules_of_different_destinations_overlap_too() -> None:
    function = {"LambdaFunctionArn": FUNCTION, "Events": ["s3:ObjectCreated:Put"]}
    assert refused(queue(), LambdaFunctionConfigurations=[function]).message == OVERLAP


def test_an_id_is_used_once() -> None:
    error = refused(queue(Id="same"), queue("s3:ObjectRemoved:*", Id="same"))
    assert error.code == "InvalidArgument"


@pytest.mark.parametrize(
    ("event", "key", "told"),
    [
        ("ObjectCreated:Put", "in/ü b.jpg", True),
        ("ObjectCreated:CompleteMultipartUpload", "in/.jpg", True),
        ("ObjectRemoved:Delete", "in/a.jpg", False),
        ("ObjectCreated:Put", "out/a.jpg", False),
        ("ObjectCreated:Put", "in/a.JPG", False),
    ],
)
def test_a_rule_matches_the_key_as_it_is(event: str, key: str, told: bool) -> None:
    events = ("s3:ObjectCreated:*", "s3:ObjectRemoved:DeleteMarkerCreated")
    rule = Rule(id="r", service="sqs", arn=QUEUE, events=events, prefix="in/", suffix=".jpg")
    assert rule.tells(event, key) is told
