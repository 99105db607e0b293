"""Who may do what with a bucket and what is in it: its owner, and others as policy, ACLs and access block leave them.

The owner's account may do everything that the policy does not deny: identity policies are not enforced here
(docs/security.md). Other accounts, services and strangers may do what is allowed to them, and nothing more.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from lambent.aws.errors import ApiError
from lambent.aws.policy.decision import Decision
from lambent.aws.policy.principals import ANONYMOUS, Principal
from lambent.aws.service import CallContext, Handler, Operations, Parameters, Result
from lambent.services.s3.buckets import Buckets
from lambent.services.s3.configs import acl, policy
from lambent.services.s3.configs.configs import Configs
from lambent.services.s3.configs.kinds import Kind
from lambent.services.s3.configs.public_access import blocks
from lambent.services.s3.errors import access_denied
from lambent.services.s3.records import ENFORCED, Bucket
from lambent.services.s3.sources import source_of

_OPEN: Final = frozenset({"CreateBucket", "ListBuckets", "ListDirectoryBuckets", "WriteGetObjectResponse"})
"""Of no bucket that is there already."""
_OBJECT: Final = {
    **dict.fromkeys(("GetObject", "HeadObject", "GetObjectAttributes"), "s3:GetObject"),
    **dict.fromkeys(
        (
            *("PutObject", "CopyObject", "CreateMultipartUpload", "UploadPart", "UploadPartCopy"),
            "CompleteMultipartUpload",
        ),
        "s3:PutObject",
    ),
    "ListParts": "s3:ListMultipartUploadParts",
    "DeleteObjects": "s3:DeleteObject",
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
    "GetObjectLockConfiguration": "s3:GetBucketObjectLockConfiguration",
    "PutObjectLockConfiguration": "s3:PutBucketObjectLockConfiguration",
}
_OF_VERSIONS: Final = {
    "s3:GetObject": "s3:GetObjectVersion",
    "s3:DeleteObject": "s3:DeleteObjectVersion",
    "s3:GetObjectTagging": "s3:GetObjectVersionTagging",
    "s3:PutObjectTagging": "s3:PutObjectVersionTagging",
    "s3:DeleteObjectTagging": "s3:DeleteObjectVersionTagging",
    "s3:GetObjectAcl": "s3:GetObjectVersionAcl",
    "s3:PutObjectAcl": "s3:PutObjectVersionAcl",
}
_PERMISSIONS: Final = {
    "s3:ListBucket": "READ",
    "s3:ListBucketVersions": "READ",
    "s3:ListBucketMultipartUploads": "READ",
    "s3:PutObject": "WRITE",
    "s3:DeleteObject": "WRITE",
    "s3:GetBucketAcl": "READ_ACP",
    "s3:PutBucketAcl": "WRITE_ACP",
}
"""What a grant of a bucket's ACL lets do; grants of objects are not looked at before an object is found."""
_POLICIES: Final = frozenset({"s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"})


class Access:
    def __init__(self, buckets: Buckets, configs: Configs) -> None:
        self._buckets = buckets
        self._configs = configs

    def admitted(self, operations: Operations) -> Operations:
        """The same operations, behind the policy of the bucket that they name."""
        return {name: handler if name in _OPEN else self._behind(name, handler) for name, handler in operations.items()}

    def _behind(self, operation: str, handler: Handler) -> Handler:
        async def admitted(context: CallContext, parameters: Parameters) -> Result:
            self.admit(operation, context, parameters)
            if "CopySource" in parameters:
                self.admit_source(context, parameters["CopySource"])
            return await handler(context, parameters)

        return admitted

    def admit(self, operation: str, context: CallContext, parameters: Parameters) -> None:
        """Raises AccessDenied. A bucket that does not exist is left to the operation."""
        bucket = self._buckets.find(parameters["Bucket"])
        if bucket is None:
            return
        own = context.source is None and context.identity.account == bucket.account
        if own and self._configs.document(bucket.id, Kind.POLICY) is None:
            return
        principal = principal_of(context)
        keys = _keys(context, principal, parameters)
        for action, resource in asked(operation, bucket, parameters):
            if not self.may(bucket, principal, action, resource, keys, own=own):
                raise access_denied()

    def admit_source(self, context: CallContext, given: object) -> None:
        """The same of what a copy reads. A source that is none is left to the operation."""
        try:
            source = source_of(given)
        except ApiError:
            return
        version = {} if source.version_id is None else {"VersionId": source.version_id}
        self.admit("GetObject", context, {"Bucket": source.bucket, "Key": source.key, **version})

    def may_anybody(self, operation: str, bucket_name: str, key: str | None) -> bool:
        """Whether somebody who has signed nothing may call the operation."""
        bucket = self._buckets.find(bucket_name)
        if bucket is None:
            return False
        every = asked(operation, bucket, {"Bucket": bucket_name, "Key": key} if key else {"Bucket": bucket_name})
        return all(self.may(bucket, ANONYMOUS, action, resource, {}, own=False) for action, resource in every)

    def may(
        self, bucket: Bucket, principal: Principal, action: str, resource: str, keys: Mapping[str, str], *, own: bool
    ) -> bool:
        text = self._configs.document(bucket.id, Kind.POLICY)
        decision = Decision.SILENT if text is None else policy.verdict(str(text), principal, action, resource, keys)
        if decision is Decision.DENIED:
            # Or nobody could ever take back a policy that shuts everybody out.
            return own and action in _POLICIES and principal.name.endswith(":root")
        if own:
            return True
        if decision is Decision.ALLOWED:
            restricted = blocks(self._configs, bucket, "RestrictPublicBuckets") and policy.is_public(str(text))
            return principal.kind == "Service" or not restricted
        return self._granted(bucket, principal, action)

    def _granted(self, bucket: Bucket, principal: Principal, action: str) -> bool:
        permission = _PERMISSIONS.get(action)
        document = None if bucket.ownership == ENFORCED else self._configs.document(bucket.id, Kind.ACL)
        if permission is None or document is None:
            return False
        grants = document["Grants"]
        if blocks(self._configs, bucket, "IgnorePublicAcls"):
            grants = [grant for grant in grants if not acl.is_public([grant])]
        return acl.allows(grants, principal.account, permission)


def principal_of(context: CallContext) -> Principal:
    arn = context.identity.arn
    if arn.startswith("arn:"):
        return Principal.of_arn(arn)
    return Principal.of_service(arn) if "." in arn else ANONYMOUS


def asked(operation: str, bucket: Bucket, parameters: Parameters) -> Iterator[tuple[str, str]]:
    """Actions and the resources that they are about."""
    if operation == "DeleteObjects":
        for each in (parameters.get("Delete") or {}).get("Objects") or ():
            action = "s3:DeleteObjectVersion" if each.get("VersionId") else "s3:DeleteObject"
            yield action, f"{bucket.arn}/{each['Key']}"
        return
    if "Key" not in parameters:
        yield _BUCKET.get(operation, f"s3:{operation}"), bucket.arn
        return
    action = _OBJECT.get(operation, f"s3:{operation}")
    if parameters.get("VersionId"):
        action = _OF_VERSIONS.get(action, action)
    yield action, f"{bucket.arn}/{parameters['Key']}"


def _keys(context: CallContext, principal: Principal, parameters: Parameters) -> dict[str, str]:
    keys = {"aws:SecureTransport": str(context.base_url.startswith("https:")).lower()}
    if principal.account is not None:
        keys["aws:PrincipalAccount"] = principal.account
        keys["aws:PrincipalArn"] = principal.role_arn or principal.name
    if principal.kind == "Service":
        keys["aws:PrincipalServiceName"] = principal.name
    keys["aws:PrincipalIsAWSService"] = str(principal.kind == "Service").lower()
    if context.source is not None:
        keys |= {"aws:SourceArn": context.source.arn, "aws:SourceAccount": context.source.account}
    for member, key in _MEMBERS.items():
        if parameters.get(member) is not None:
            keys[key] = str(parameters[member])
    return keys


_MEMBERS: Final = {
    "ACL": "s3:x-amz-acl",
    "Prefix": "s3:prefix",
    "Delimiter": "s3:delimiter",
    "MaxKeys": "s3:max-keys",
    "VersionId": "s3:VersionId",
    "ServerSideEncryption": "s3:x-amz-server-side-encryption",
    "SSEKMSKeyId": "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "StorageClass": "s3:x-amz-storage-class",
}
