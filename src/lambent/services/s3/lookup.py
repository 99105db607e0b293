"""Which version a request means, and what it is told when there is none. Pure."""

from lambent.aws.errors import ApiError
from lambent.services.s3.changes import sequence_of
from lambent.services.s3.conditions import http_date
from lambent.services.s3.errors import invalid_argument, method_not_allowed, no_such_key, no_such_version
from lambent.services.s3.records import NULL, Bucket, ObjectVersion


def check_version_id(version_id: str | None) -> None:
    """Raises InvalidArgument for a text that no version has as its id."""
    if version_id is None or version_id == NULL:
        return
    if not version_id:
        raise invalid_argument("Version id cannot be the empty string", "versionId", version_id)
    if sequence_of(version_id) is None:
        raise invalid_argument("Invalid version id specified", "versionId", version_id)


def readable(version: ObjectVersion | None, key: str, version_id: str | None, method: str = "GET") -> ObjectVersion:
    """What was found, if it has bytes. Raises NoSuchKey, NoSuchVersion, or MethodNotAllowed for a delete marker."""
    if version is None:
        raise no_such_key(key) if version_id is None else no_such_version(key, version_id)
    if not version.marker:
        return version
    refused: ApiError
    if version_id is None:
        refused = no_such_key(key)
    else:
        refused = method_not_allowed(method, "DeleteMarker")
        refused.headers |= {"Allow": "DELETE", "Last-Modified": http_date(version.modified_ms)}
    refused.headers |= {"x-amz-delete-marker": "true", "x-amz-version-id": version.version_id}
    raise refused


def markable(version: ObjectVersion | None, key: str, version_id: str | None, method: str) -> ObjectVersion:
    """As `readable`, of what has tags, locks and ACLs: a delete marker is refused also where it is the latest."""
    if version is not None and version.marker:
        raise method_not_allowed(method, "DeleteMarker")
    return readable(version, key, version_id)


def shown_id(bucket: Bucket, version: ObjectVersion) -> str | None:
    """As GET and HEAD tell it: none in a bucket that never had versioning."""
    return version.version_id if bucket.versioning else None
