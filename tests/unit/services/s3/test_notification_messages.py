"""What is told of a change, field by field (spec 9.3 and 9.4)."""

import json
from typing import Any

import pytest

from lambent.services.s3.notifications.message import detail, detail_type, principal_id, record
from lambent.services.s3.notifications.notices import notices, probes
from lambent.services.s3.notifications.rules import rules_of
from lambent.services.s3.records import ObjectChange, Origin
from tests.unit.services.s3.kit import ACCOUNT, BUCKET, change

IDS = ("REQUEST", "host")
MULTIPART = "ObjectCreated:CompleteMultipartUpload"
MARKER = "ObjectRemoved:DeleteMarkerCreated"
EMPTY = "d41d8cd98f00b204e9800998ecf8427e"


def told(of: ObjectChange) -> dict[str, Any]:
    document = json.loads(record(BUCKET, of, "config", owner_id="A1", request_ids=IDS))
    (only,) = document["Records"]
    return dict(only)


def test_the_whole_record_of_a_put() -> None:
    assert told(change(version_id="v1")) == {
        "eventVersion": "2.6",
        "eventSource": "aws:s3",
        "awsRegion": "eu-west-1",
        "eventTime": "2026-10-12T09:08:07.123Z",
        "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": f"AWS:{ACCOUNT}"},
        "requestParameters": {"sourceIPAddress": "1.2.3.4"},
        "responseElements": {"x-amz-request-id": "REQUEST", "x-amz-id-2": "host"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "config",
            "bucket": {"name": "photos", "ownerIdentity": {"principalId": "A1"}, "arn": "arn:aws:s3:::photos"},
            "object": {
                "key": "in/a%40b+c.jpg",
                "size": 9,
                "eTag": "0cc175b9c0f1b6a831c399e269772661",
                "versionId": "v1",
                "sequencer": "0055AED6DCD90281E5",
            },
        },
    }


@pytest.mark.parametrize(
    ("of", "members"),
    [
        (change(), {"key", "size", "eTag", "sequencer"}),
        (change(MULTIPART, version_id="v"), {"key", "size", "eTag", "sequencer", "versionId"}),
        (change("ObjectCreated:Copy"), {"key", "size", "eTag", "sequencer", "hasObjectAnnotation"}),
        (change("ObjectRemoved:Delete"), {"key", "sequencer"}),
        (change("ObjectRemoved:Delete", version_id="v"), {"key", "sequencer", "versionId"}),
        (change(MARKER, etag=EMPTY, version_id="v"), {"key", "eTag", "versionId", "sequencer"}),
        (change("LifecycleExpiration:Delete"), {"key", "sequencer"}),
        (change("ObjectTagging:Put"), {"key", "eTag"}),
        (change("ObjectTagging:Delete", version_id="v"), {"key", "eTag", "versionId"}),
        (change("ObjectAcl:Put"), {"key", "eTag"}),
        (change("ObjectRetention:Put", mode="GOVERNANCE"), {"key", "eTag"}),
        (change("LifecycleTransition", storage_class="GLACIER"), {"key", "eTag", "size"}),
        (change("ObjectRestore:Completed"), {"key", "eTag", "size", "sequencer"}),
    ],
)
def test_an_event_has_the_members_of_its_kind_and_none_is_null(of: ObjectChange, members: set[str]) -> None:
    shown = told(of)["s3"]["object"]
    assert set(shown) == members
    assert None not in shown.values()


@pytest.mark.parametrize(
    ("of", "member", "value"),
    [
        (
            change("LifecycleTransition", storage_class="GLACIER"),
            "lifecycleEventData",
            {"transitionEventData": {"destinationStorageClass": "GLACIER"}},
        ),
        (
            change("ObjectRestore:Completed", storage_class="GLACIER", until_ms=0),
            "glacierEventData",
            {
                "restoreEventData": {
                    "lifecycleRestorationExpiryTime": "1970-01-01T00:00:00.000Z",
                    "lifecycleRestoreStorageClass": "GLACIER",
                }
            },
        ),
        (
            change("ObjectRetention:Put", mode="COMPLIANCE", until_ms=0),
            "objectRetentionEventData",
            {"mode": "COMPLIANCE", "retainUntilDate": "1970-01-01T00:00:00.000Z"},
        ),
    ],
)
def test_some_changes_tell_more_beside_the_object(of: ObjectChange, member: str, value: dict[str, Any]) -> None:
    record = told(of)
    assert record[member] == value
    assert record.keys() - told(change()).keys() == {member}


def test_a_lifecycle_rule_is_nobody_and_comes_from_nowhere() -> None:
    by_rule = told(change("LifecycleExpiration:Delete", origin=Origin(principal="s3.amazonaws.com")))
    assert by_rule["userIdentity"] == {"principalId": "s3.amazonaws.com"}
    assert by_rule["requestParameters"] == {"sourceIPAddress": "s3.amazonaws.com"}


@pytest.mark.parametrize(
    ("arn", "shown"),
    [
        ("arn:aws:iam::000000000000:root", "AWS:000000000000"),
        ("arn:aws:iam::000000000000:user/team/ada", "AWS:ada"),
        ("arn:aws:sts::000000000000:assumed-role/worker/thumbnail", "AWS:worker:thumbnail"),
        ("", "Anonymous"),
        ("anonymous", "Anonymous"),
    ],
)
def test_who_it_was(arn: str, shown: str) -> None:
    assert principal_id(arn) == shown


def test_event_bridge_gets_the_key_as_it_is() -> None:
    assert detail(BUCKET, change(version_id="v"), "REQUEST") == {
        "version": "0",
        "event-version": "1.1",
        "bucket": {"name": "photos"},
        "object": {
            "key": "in/a@b c.jpg",
            "size": 9,
            "etag": "0cc175b9c0f1b6a831c399e269772661",
            "version-id": "v",
            "sequencer": "0055AED6DCD90281E5",
        },
        "request-id": "REQUEST",
        "requester": ACCOUNT,
        "source-ip-address": "1.2.3.4",
        "reason": "PutObject",
    }


@pytest.mark.parametrize(
    ("event", "reason", "kind"),
    [
        ("ObjectRemoved:Delete", "DeleteObject", "Permanently Deleted"),
        ("ObjectRemoved:DeleteMarkerCreated", "DeleteObject", "Delete Marker Created"),
        ("LifecycleExpiration:Delete", "Lifecycle Expiration", "Permanently Deleted"),
        ("LifecycleExpiration:DeleteMarkerCreated", "Lifecycle Expiration", "Delete Marker Created"),
    ],
)
def test_event_bridge_hears_why_an_object_went(event: str, reason: str, kind: str) -> None:
    assert detail_type(event) == "Object Deleted"
    told = detail(BUCKET, change(event), "r")
    assert (told["reason"], told["deletion-type"]) == (reason, kind)
    assert "etag" in told["object"] or not event.endswith("MarkerCreated")


@pytest.mark.parametrize(
    ("event", "name"),
    [
        ("ObjectCreated:Copy", "Object Created"),
        ("ObjectTagging:Put", "Object Tags Added"),
        ("ObjectTagging:Delete", "Object Tags Deleted"),
        ("ObjectAcl:Put", "Object ACL Updated"),
        ("ObjectRetention:Put", None),
    ],
)
def test_detail_types(event: str, name: str | None) -> None:
    assert detail_type(event) == name


def test_a_change_is_told_once_for_each_rule_that_it_meets_and_to_event_bridge() -> None:
    queue, function = "arn:aws:sqs:eu-west-1:1:q", "arn:aws:lambda:eu-west-1:1:function:f"
    rules = rules_of(
        {
            "QueueConfigurations": [{"Id": "q", "QueueArn": queue, "Events": ["s3:ObjectCreated:*"]}],
            "LambdaFunctionConfigurations": [
                {"Id": "f", "LambdaFunctionArn": function, "Events": ["s3:ObjectRemoved:*"]}
            ],
            "EventBridgeConfiguration": {},
        }
    )
    due = list(notices(BUCKET, change(), rules, IDS))
    assert [(notice.service, notice.arn) for notice, _ in due] == [("sqs", queue), ("events", "")]
    assert json.loads(due[0][1])["Records"][0]["s3"]["configurationId"] == "q"
    assert due[1][0].detail_type == "Object Created"
    assert [notice.lane for notice, _ in due] == [queue, f"events:eu-west-1:{ACCOUNT}"]


def test_queues_and_topics_get_a_test_event_and_functions_none() -> None:
    queue, topic = "arn:aws:sqs:eu-west-1:1:q", "arn:aws:sns:eu-west-1:1:t"
    rules = rules_of(
        {
            "QueueConfigurations": [
                {"QueueArn": queue, "Events": ["s3:ObjectCreated:*"]},
                {"QueueArn": queue, "Events": ["s3:ObjectRemoved:*"]},
            ],
            "TopicConfigurations": [{"TopicArn": topic, "Events": ["s3:ObjectTagging:*"]}],
            "LambdaFunctionConfigurations": [{"LambdaFunctionArn": "arn", "Events": ["s3:ObjectAcl:Put"]}],
        }
    )
    due = list(probes(BUCKET, rules, 1_791_796_087_123, IDS))
    assert [notice.arn for notice, _ in due] == [topic, queue]
    assert json.loads(due[0][1]) == {
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": "2026-10-12T09:08:07.123Z",
        "Bucket": "photos",
        "RequestId": "REQUEST",
        "HostId": "host",
    }
