"""Which actions of policies an operation asks for, and about which resource. Pure.

The names are those of the Service Authorization Reference; an operation that is in no table is its own action.
"""

from collections.abc import Iterator
from typing import Any, Final

from lambent.aws.service import Parameters
from lambent.services.s3.records import Bucket

WRITES: Final = frozenset({"PutObject", "CopyObject", "CreateMultipartUpload"})
_OBJECT: Final = {
    **dict.fromkeys(("GetObject", "HeadObject", "GetObjectAttributes"), "s3:GetObject"),
    **dict.fromkeys((*WRITES, "UploadPart", "UploadPartCopy", "CompleteMultipartUpload"), "s3:PutObject"),
    "ListParts": "s3:ListMultipartUploadParts",
}
_BUCKET: Final = {
    **dict.fromkeys(("HeadBucket", "ListObjects", "ListObjectsV2"), "s3:ListBucket"),
    "ListObjectVersions": "s3:ListBucketVersions",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "GetBucketCors": "s3:GetBucketCORS",
    "PutBucketCors": "s3:PutBucketCORS",
    "DeleteBucketCors": "s3:PutBucketCORS",
    "GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "PutBucketEncryption": "s3:PutEncryptionConfiguration",
    "DeleteBucketEncryption": "s3:PutEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "s3:PutLifecycleConfiguration",
    "DeleteBucketLifecycle": "s3:PutLifecycleConfiguration",
    "GetBucketNotificationConfiguration": "s3:GetBucketNotification",
    "PutBucketNotificationConfiguration": "s3:PutBucketNotification",
    "GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
    "DeletePublicAccessBlock": "s3:PutBucketPublicAccessBlock",
    "GetBucketAccelerateConfiguration": "s3:GetAccelerateConfiguration",
    "PutBucketAccelerateConfiguration": "s3:PutAccelerateConfiguration",
    "DeleteBucketTagging": "s3:PutBucketTagging",
    "DeleteBucketOwnershipControls": "s3:PutBucketOwnershipControls",
    "GetBucketReplication": "s3:GetReplicationConfiguration",
    "PutBucketReplication": "s3:PutReplicationConfiguration",
    "DeleteBucketReplication": "s3:PutReplicationConfiguration",
    "GetObjectLockConfiguration": "s3:GetBucketObjectLockConfiguration",
    "PutObjectLockConfiguration": "s3:PutBucketObjectLockConfiguration",
    **{
        f"{verb}Bucket{noun}Configuration{plural}": f"s3:{'Put' if verb in ('Put', 'Delete') else 'Get'}{name}"
        for noun, name in (
            ("Analytics", "AnalyticsConfiguration"),
            ("IntelligentTiering", "IntelligentTieringConfiguration"),
            ("Inventory", "InventoryConfiguration"),
            ("Metrics", "MetricsConfiguration"),
        )
        for verb, plural in (("Get", ""), ("Put", ""), ("Delete", ""), ("List", "s"))
    },
}
_OF_VERSIONS: Final = {
    "s3:GetObject": "s3:GetObjectVersion",
    "s3:GetObjectAttributes": "s3:GetObjectVersionAttributes",
    "s3:DeleteObject": "s3:DeleteObjectVersion",
    "s3:GetObjectTagging": "s3:GetObjectVersionTagging",
    "s3:PutObjectTagging": "s3:PutObjectVersionTagging",
    "s3:DeleteObjectTagging": "s3:DeleteObjectVersionTagging",
    "s3:GetObjectAcl": "s3:GetObjectVersionAcl",
    "s3:PutObjectAcl": "s3:PutObjectVersionAcl",
}
_MORE: Final = {
    "Tagging": "s3:PutObjectTagging",
    "ObjectLockMode": "s3:PutObjectRetention",
    "ObjectLockLegalHoldStatus": "s3:PutObjectLegalHold",
}
"""What a request to write an object asks for besides, by the members that say so."""
BUCKET_PERMISSIONS: Final = {
    "s3:ListBucket": "READ",
    "s3:ListBucketVersions": "READ",
    "s3:ListBucketMultipartUploads": "READ",
    "s3:PutObject": "WRITE",
    "s3:DeleteObject": "WRITE",
    "s3:GetBucketAcl": "READ_ACP",
    "s3:PutBucketAcl": "WRITE_ACP",
}
"""What a grant of a bucket's ACL lets do."""
OBJECT_PERMISSIONS: Final = {
    "s3:GetObject": "READ",
    "s3:GetObjectVersion": "READ",
    "s3:GetObjectAcl": "READ_ACP",
    "s3:GetObjectVersionAcl": "READ_ACP",
    "s3:PutObjectAcl": "WRITE_ACP",
    "s3:PutObjectVersionAcl": "WRITE_ACP",
}
"""What a grant of an object's ACL lets do."""
KNOW_TAGS: Final = frozenset({"s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectAttributes"}) | {
    f"s3:{verb}Object{version}{noun}"
    for version in ("", "Version")
    for verb, noun in (("Get", "Tagging"), ("Put", "Tagging"), ("Delete", "Tagging"), ("Get", "Acl"), ("Put", "Acl"))
}
"""Actions that know the tags which the object has: `s3:ExistingObjectTag`."""
POLICIES: Final = frozenset({"s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"})


def asked(operation: str, bucket: Bucket, parameters: Parameters) -> Iterator[tuple[str, str]]:
    """Actions and the resources that they are about; every one has to be allowed. DeleteObjects: `of_deletion`."""
    if "Key" not in parameters:
        yield _BUCKET.get(operation, f"s3:{operation}"), bucket.arn
        return
    resource = f"{bucket.arn}/{parameters['Key']}"
    action = _OBJECT.get(operation, f"s3:{operation}")
    yield _of_version(action, parameters), resource
    if operation == "GetObjectAttributes":
        yield _of_version("s3:GetObjectAttributes", parameters), resource
    if operation in WRITES:
        for member, more in _MORE.items():
            if parameters.get(member) and (member != "Tagging" or operation != "CopyObject" or _retags(parameters)):
                yield more, resource
    if parameters.get("BypassGovernanceRetention"):
        yield "s3:BypassGovernanceRetention", resource


def of_deletion(bucket: Bucket, item: Parameters, parameters: Parameters) -> Iterator[tuple[str, str]]:
    """The same of one key of a DeleteObjects."""
    resource = f"{bucket.arn}/{item['Key']}"
    yield "s3:DeleteObjectVersion" if item.get("VersionId") else "s3:DeleteObject", resource
    if parameters.get("BypassGovernanceRetention"):
        yield "s3:BypassGovernanceRetention", resource


def _of_version(action: str, parameters: Parameters) -> str:
    return _OF_VERSIONS.get(action, action) if parameters.get("VersionId") else action


def _retags(parameters: Parameters) -> bool:
    """Whether a copy looks at the tags of its request."""
    directive: Any = parameters.get("TaggingDirective")
    return bool(directive == "REPLACE")
