"""Sub-resources of buckets whose document is checked, kept and shown: one line of a table for each.

What needs more than its document (notifications, policies, ACLs) has a module of its own. What Lambent does nothing
with is not kept: such a bucket has none, in the words of AWS, and putting one is not built.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from lambent.aws.errors import ApiError, not_built
from lambent.aws.service import CallContext, Handler, Operations, Parameters, Result
from lambent.services.s3.api.common import bucket_of
from lambent.services.s3.buckets import Buckets
from lambent.services.s3.configs import cors, lifecycle, object_lock, simple, tags
from lambent.services.s3.configs.configs import Configs
from lambent.services.s3.configs.kinds import Kind
from lambent.services.s3.configs.simple import missing
from lambent.services.s3.errors import error
from lambent.services.s3.records import Bucket

Document = Mapping[str, Any]
_SMALLEST: Final = "TransitionDefaultMinimumObjectSize"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """`noun` completes GetBucket..., PutBucket... and DeleteBucket...; `member` holds the document that is put.

    `none`: what a bucket without it has, or the error that it has none. `initial`: every bucket has one at first, so
    that a deleted one is another thing.
    """

    kind: Kind
    noun: str
    member: str
    check: Callable[[Bucket, Document], Any]
    show: Callable[[Any], Result]
    none: Callable[[Bucket], ApiError] | Document
    initial: Document | None = None
    prefix: str = "Bucket"
    deletable: bool = True


def _same(document: Document) -> Result:
    return document


def _under(name: str) -> Callable[[Document], Result]:
    return lambda document: {name: document}


def _lacks(code: str, message: str) -> Callable[[Bucket], ApiError]:
    return lambda bucket: missing(code, message, bucket)


RESOURCES: Final = (
    Resource(
        kind=Kind.CORS,
        noun="Cors",
        member="CORSConfiguration",
        check=lambda _, given: cors.checked(given),
        show=_same,
        none=_lacks("NoSuchCORSConfiguration", "The CORS configuration does not exist"),
    ),
    Resource(
        kind=Kind.ENCRYPTION,
        noun="Encryption",
        member="ServerSideEncryptionConfiguration",
        check=lambda _, given: simple.encryption(given),
        show=_under("ServerSideEncryptionConfiguration"),
        none=simple.ENCRYPTION,
    ),
    Resource(
        kind=Kind.PUBLIC_ACCESS,
        noun="PublicAccessBlock",
        prefix="",
        member="PublicAccessBlockConfiguration",
        check=lambda _, given: simple.public_access(given),
        show=_under("PublicAccessBlockConfiguration"),
        none=_lacks("NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found"),
        initial=simple.PUBLIC_ACCESS,
    ),
    Resource(
        kind=Kind.TAGGING,
        noun="Tagging",
        member="Tagging",
        # No tags are no tag set.
        check=lambda _, given: {"TagSet": found} if (found := tags.checked(given.get("TagSet") or ())) else None,
        show=_same,
        none=_lacks("NoSuchTagSet", "The TagSet does not exist"),
    ),
    Resource(
        kind=Kind.PAYMENT,
        noun="RequestPayment",
        member="RequestPaymentConfiguration",
        check=lambda _, given: simple.payment(given),
        show=_same,
        none={"Payer": "BucketOwner"},
        deletable=False,
    ),
    Resource(
        kind=Kind.ACCELERATE,
        noun="AccelerateConfiguration",
        member="AccelerateConfiguration",
        check=simple.accelerate,
        show=_same,
        none={},
        deletable=False,
    ),
)
_NEVER: Final = {
    "GetBucketWebsite": ("NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration"),
    "GetBucketReplication": ("ReplicationConfigurationNotFoundError", "The replication configuration was not found"),
}
"""What no bucket here has, and AWS's error that says so."""
_NAMED: Final = ("Analytics", "IntelligentTiering", "Inventory", "Metrics")
"""Of which a bucket of AWS may have several, by names; none of them would do anything here."""


class BucketConfigApi:
    def __init__(self, buckets: Buckets, configs: Configs) -> None:
        self._buckets = buckets
        self._configs = configs

    def operations(self) -> Operations:
        found: dict[str, Handler] = {
            "GetBucketLifecycleConfiguration": self.get_lifecycle,
            "PutBucketLifecycleConfiguration": self.put_lifecycle,
            "DeleteBucketLifecycle": partial(self._remove, Kind.LIFECYCLE, None),
            "GetBucketVersioning": self.get_versioning,
            "PutBucketVersioning": self.put_versioning,
            "GetBucketOwnershipControls": self.get_ownership,
            "PutBucketOwnershipControls": self.put_ownership,
            "DeleteBucketOwnershipControls": self.delete_ownership,
            "GetObjectLockConfiguration": self.get_lock,
            "PutObjectLockConfiguration": self.put_lock,
            "GetBucketLogging": self._empty,
            "PutBucketLogging": self.put_logging,
            "DeleteBucketWebsite": self._empty,
            "DeleteBucketReplication": self._empty,
        }
        for resource in RESOURCES:
            name = f"{resource.prefix}{resource.noun}"
            found[f"Get{name}"] = partial(self._get, resource)
            found[f"Put{name}"] = partial(self._put, resource)
            if resource.deletable:
                found[f"Delete{name}"] = partial(self._remove, resource.kind, resource.initial)
        for operation, (code, message) in _NEVER.items():
            found[operation] = partial(self._never, code, message)
        for noun in _NAMED:
            for verb in ("Get", "Delete"):
                text = "The specified configuration does not exist."
                found[f"{verb}Bucket{noun}Configuration"] = partial(self._never, "NoSuchConfiguration", text)
            found[f"ListBucket{noun}Configurations"] = self._none_listed
        return found

    async def _get(self, resource: Resource, context: CallContext, parameters: Parameters) -> Result:
        bucket = bucket_of(self._buckets, context, parameters)
        document = self._configs.document(bucket.id, resource.kind)
        if document is None and not self._configs.put_or_deleted(bucket.id, resource.kind):
            document = resource.initial
        if document is None:
            if callable(resource.none):
                raise resource.none(bucket)
            document = resource.none
        return resource.show(document)

    async def _put(self, resource: Resource, context: CallContext, parameters: Parameters) -> Result:
        bucket = bucket_of(self._buckets, context, parameters)
        document = resource.check(bucket, parameters.get(resource.member) or {})
        await self._configs.put(bucket.id, resource.kind, document)
        return {}

    async def _remove(
        self, kind: Kind, initial: Document | None, context: CallContext, parameters: Parameters
    ) -> Result:
        bucket = bucket_of(self._buckets, context, parameters)
        await self._configs.delete(bucket.id, kind, by_default=initial is not None)
        return {}

    async def _never(self, code: str, message: str, context: CallContext, parameters: Parameters) -> Result:
        raise missing(code, message, bucket_of(self._buckets, context, parameters))

    async def _empty(self, context: CallContext, parameters: Parameters) -> Result:
        bucket_of(self._buckets, context, parameters)
        return {}

    async def _none_listed(self, context: CallContext, parameters: Parameters) -> Result:
        bucket_of(self._buckets, context, parameters)
        return {"IsTruncated": False}

    async def put_logging(self, context: CallContext, parameters: Parameters) -> Result:
        bucket_of(self._buckets, context, parameters)
        if (parameters.get("BucketLoggingStatus") or {}).get("LoggingEnabled") is not None:
            raise not_built("PutBucketLogging", "Access logging of S3")
        return {}

    async def get_lifecycle(self, context: CallContext, parameters: Parameters) -> Result:
        bucket = bucket_of(self._buckets, context, parameters)
        document = self._configs.document(bucket.id, Kind.LIFECYCLE)
        if document is None:
            text = "The lifecycle configuration does not exist"
            raise missing("NoSuchLifecycleConfiguration", text, bucket)
        rules = [_with_dates(rule) for rule in document["Rules"]]
        return {"Rules": rules, _SMALLEST: document.get(_SMALLEST, lifecycle.SMALLEST)}

    async def put_lifecycle(self, context: CallContext, parameters: Parameters) -> Result:
        bucket = bucket_of(self._buckets, context, parameters)
        smallest = lifecycle.smallest(parameters.get(_SMALLEST))
        document = lifecycle.checked(parameters.get("LifecycleConfiguration") or {})
        await self._configs.put(bucket.id, Kind.LIFECYCLE, document | {_SMALLEST: smallest})
        return {_SMALLEST: smallest}

    async def get_versioning(self, context: CallContext, parameters: Parameters) -> Result:
        bucket = bucket_of(self._buckets, context, parameters)
        return {"Status": bucket.versioning} if bucket.versioning else {}

    async def put_versioning(self, context: CallContext, parameters: Parameters) -> Result:
        bucket = bucket_of(self._buckets, context, parameters)
        status = simple.versioning(bucket, parameters.get("VersioningConfiguration") or {})
        await self._buckets.change(bucket, versioning=status)
        return {}

    async def get_ownership(self, context: CallContext, parameters: Parameters) -> Result:
        bucket = bucket_of(self._buckets, context, parameters)
        if not bucket.ownership:
            text = "The bucket ownership controls were not found"
            raise missing("OwnershipControlsNotFoundError", text, bucket)
        return {"OwnershipControls": {"Rules": [{"ObjectOwnership": bucket.ownership}]}}

    async def put_ownership(self, context: CallContext, parameters: Parameters) -> Result:
        bucket = bucket_of(self._buckets, context, parameters)
        await self._buckets.change(bucket, ownership=simple.ownership(parameters.get("OwnershipControls") or {}))
        return {}

    async def delete_ownership(self, context: CallContext, parameters: Parameters) -> Result:
        bucket = bucket_of(self._buckets, context, parameters)
        await self._buckets.change(bucket, ownership="")
        return {}

    async def get_lock(self, context: CallContext, parameters: Parameters) -> Result:
        bucket = bucket_of(self._buckets, context, parameters)
        if not bucket.locked:
            text = "Object Lock configuration does not exist for this bucket"
            raise error("ObjectLockConfigurationNotFoundError", text, 404, BucketName=bucket.name)
        document = self._configs.document(bucket.id, Kind.LOCK) or {"ObjectLockEnabled": "Enabled"}
        return {"ObjectLockConfiguration": document}

    async def put_lock(self, context: CallContext, parameters: Parameters) -> Result:
        bucket = bucket_of(self._buckets, context, parameters)
        document = object_lock.checked(bucket, parameters.get("ObjectLockConfiguration") or {})
        await self._configs.put(bucket.id, Kind.LOCK, document)
        await self._buckets.change(bucket, locked=1)
        return {}


def _with_dates(rule: Document) -> dict[str, Any]:
    """Times as the wire wants them; a document has text."""
    shown = dict(rule)
    if (shown.get("Expiration") or {}).get("Date"):
        shown["Expiration"] = _dated(shown["Expiration"])
    if shown.get("Transitions"):
        shown["Transitions"] = [_dated(each) if each.get("Date") else each for each in shown["Transitions"]]
    return shown


def _dated(action: Document) -> dict[str, Any]:
    return {**action, "Date": datetime.fromisoformat(action["Date"])}
