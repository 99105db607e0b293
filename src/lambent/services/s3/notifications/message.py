"""What is told of a change: the event of spec 9.3, the test event, and the entry for EventBridge. Pure."""

from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote_plus

import msgspec

from lambent.aws.service import ANYONE
from lambent.services.s3.records import Bucket, ObjectChange

VERSION: Final = "2.6"
_RESTORED: Final = "ObjectRestore:Completed"
LIFECYCLE: Final = "s3.amazonaws.com"
_REASONS: Final = {
    "ObjectCreated:Put": "PutObject",
    "ObjectCreated:Post": "POST Object",
    "ObjectCreated:Copy": "CopyObject",
    "ObjectCreated:CompleteMultipartUpload": "CompleteMultipartUpload",
}
_DETAIL_TYPES: Final = {
    "ObjectCreated": "Object Created",
    "ObjectRemoved": "Object Deleted",
    "LifecycleExpiration": "Object Deleted",
    "ObjectTagging:Put": "Object Tags Added",
    "ObjectTagging:Delete": "Object Tags Deleted",
    "ObjectAcl:Put": "Object ACL Updated",
    "LifecycleTransition": "Object Storage Class Changed",
    "ObjectRestore:Post": "Object Restore Initiated",
    "ObjectRestore:Completed": "Object Restore Completed",
    "ObjectRestore:Delete": "Object Restore Expired",
}
"""By the whole event or by its first word; what is in neither is not sent to EventBridge."""


def record(
    bucket: Bucket, change: ObjectChange, configuration_id: str, *, owner_id: str, request_ids: tuple[str, str]
) -> bytes:
    """The body for a queue, a topic or a function: one record, with the fields that AWS sends of such a change.

    `request_ids`: as the reply to the request had them in `x-amz-request-id` and `x-amz-id-2`.
    """
    object_: dict[str, Any] = {"key": quote_plus(change.key, safe="/*-._")}
    if change.size is not None and _tells_size(change.event):
        object_["size"] = change.size
    if change.etag is not None and _tells_etag(change.event):
        object_["eTag"] = change.etag
    if change.version_id is not None:
        object_["versionId"] = change.version_id
    if _is_ordered(change.event):
        object_["sequencer"] = change.sequencer
    if change.event == "ObjectCreated:Copy":
        object_["hasObjectAnnotation"] = False
    event = {
        "eventVersion": VERSION,
        "eventSource": "aws:s3",
        "awsRegion": bucket.region,
        "eventTime": moment(change.at_ms),
        "eventName": change.event,
        "userIdentity": {"principalId": _who(change, owner_id)},
        "requestParameters": {"sourceIPAddress": _address(change)},
        "responseElements": {"x-amz-request-id": request_ids[0], "x-amz-id-2": request_ids[1]},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": configuration_id,
            "bucket": {"name": bucket.name, "ownerIdentity": {"principalId": owner_id}, "arn": bucket.arn},
            "object": object_,
        },
        **_more(change),
    }
    return msgspec.json.encode({"Records": [event]})


def _more(change: ObjectChange) -> dict[str, Any]:
    """What only some kinds of change tell, beside the object."""
    match change.event:
        case "LifecycleTransition":
            moved = {"destinationStorageClass": change.storage_class}
            return {"lifecycleEventData": {"transitionEventData": moved}}
        case _ if change.event == _RESTORED:
            restored = {
                "lifecycleRestorationExpiryTime": moment(change.until_ms),
                "lifecycleRestoreStorageClass": change.storage_class,
            }
            return {"glacierEventData": {"restoreEventData": restored}}
        case "ObjectRetention:Put" if change.mode:
            return {"objectRetentionEventData": {"mode": change.mode, "retainUntilDate": moment(change.until_ms)}}
    return {}


def probe_event(bucket: Bucket, at_ms: int, request_ids: tuple[str, str]) -> bytes:
    event = {
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": moment(at_ms),
        "Bucket": bucket.name,
        "RequestId": request_ids[0],
        "HostId": request_ids[1],
    }
    return msgspec.json.encode(event)


def detail_type(event: str) -> str | None:
    """Of EventBridge; None: it hears nothing of such a change."""
    return _DETAIL_TYPES.get(event) or _DETAIL_TYPES.get(event.partition(":")[0])


def detail(bucket: Bucket, change: ObjectChange, request_id: str) -> dict[str, Any]:
    """The `detail` of EventBridge's event. The key is as it is, not encoded."""
    object_: dict[str, Any] = {"key": change.key}
    kind, _, what = change.event.partition(":")
    created, deleted = kind == "ObjectCreated", kind in ("ObjectRemoved", "LifecycleExpiration")
    if change.size is not None and _tells_size(change.event):
        object_["size"] = change.size
    if change.etag is not None and _tells_etag(change.event):
        object_["etag"] = change.etag
    if change.version_id is not None:
        object_["version-id"] = change.version_id
    if created or deleted:
        object_["sequencer"] = change.sequencer
    found: dict[str, Any] = {
        "version": "0",
        "event-version": "1.1",
        "bucket": {"name": bucket.name},
        "object": object_,
        "request-id": request_id,
        "requester": _requester(bucket, change),
    }
    if change.origin.principal != LIFECYCLE:
        found["source-ip-address"] = change.origin.source_ip
    if created:
        found["reason"] = _REASONS[change.event]
    if deleted:
        found["reason"] = "DeleteObject" if kind == "ObjectRemoved" else "Lifecycle Expiration"
        found["deletion-type"] = "Delete Marker Created" if what == "DeleteMarkerCreated" else "Permanently Deleted"
    if kind == "LifecycleTransition":
        found["destination-storage-class"] = change.storage_class
    if kind == "ObjectRestore":
        found["source-storage-class"] = change.storage_class
    if change.event == _RESTORED:
        found["restore-expiry-time"] = moment(change.until_ms)
    return found


def _tells_etag(event: str) -> bool:
    return not event.endswith(":Delete") or event.startswith("ObjectTagging:")


def _tells_size(event: str) -> bool:
    return event.startswith("ObjectCreated:") or event in (
        "LifecycleTransition",
        "ObjectRestore:Post",
        _RESTORED,
    )


def _is_ordered(event: str) -> bool:
    return event.startswith(("ObjectCreated:", "ObjectRemoved:", "LifecycleExpiration:", "ObjectRestore:"))


def _who(change: ObjectChange, owner_id: str) -> str:
    return f"AmazonCustomer:{owner_id}" if change.event == _RESTORED else principal_id(change.origin.principal)


def _address(change: ObjectChange) -> str:
    by_s3 = change.origin.principal == LIFECYCLE or change.event == _RESTORED
    return LIFECYCLE if by_s3 else change.origin.source_ip


def _requester(bucket: Bucket, change: ObjectChange) -> str:
    if change.origin.principal == LIFECYCLE:
        return LIFECYCLE
    parts = change.origin.principal.split(":")
    return parts[4] if len(parts) > 4 and parts[4] else bucket.account


def principal_id(arn: str) -> str:
    """Who it was. AWS has unique ids of users and roles there; of keys that were not made here none is known."""
    if not arn or arn == ANYONE.arn:
        return "Anonymous"
    if not arn.startswith("arn:"):
        return arn
    account, _, resource = arn.removeprefix("arn:").split(":", 3)[-1].partition(":")
    words = resource.split("/")
    if words[0] == "assumed-role":
        return f"AWS:{':'.join(words[1:])}"
    return f"AWS:{account if words[0] == 'root' else words[-1]}"


def moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at_ms % 1000:03d}Z"
