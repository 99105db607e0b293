"""CreateBucket, HeadBucket, DeleteBucket, ListBuckets, GetBucketLocation."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any, Final

from lambent.aws.errors import ApiError
from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.core.clock import Clock
from lambent.services.s3.api import common
from lambent.services.s3.buckets import Buckets
from lambent.services.s3.configs import acl
from lambent.services.s3.configs.configs import Configs
from lambent.services.s3.configs.kinds import Kind
from lambent.services.s3.errors import error, invalid_argument
from lambent.services.s3.files import Files
from lambent.services.s3.owners import canonical_id
from lambent.services.s3.records import ENABLED, ENFORCED, Bucket
from lambent.services.s3.regions import REGIONS

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)
_ADDRESS: Final = re.compile(r"\d+\.\d+\.\d+\.\d+", re.ASCII)
_STARTS: Final = ("xn--", "sthree-", "amzn-s3-demo-")
_ENDS: Final = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
_OWNERSHIPS: Final = frozenset({ENFORCED, "BucketOwnerPreferred", "ObjectWriter"})
MOST: Final = 10_000
HOME: Final = "us-east-1"


class BucketApi:
    def __init__(self, buckets: Buckets, configs: Configs, files: Files, clock: Clock) -> None:
        self._buckets = buckets
        self._configs = configs
        self._files = files
        self._clock = clock

    def operations(self) -> Operations:
        return {
            "CreateBucket": self.create_bucket,
            "HeadBucket": self.head_bucket,
            "DeleteBucket": self.delete_bucket,
            "ListBuckets": self.list_buckets,
            "GetBucketLocation": self.get_bucket_location,
        }

    async def create_bucket(self, context: CallContext, parameters: Parameters) -> Result:
        name = parameters["Bucket"]
        check_name(name)
        _check_namespace(name, context, parameters.get("BucketNamespace"))
        configuration = parameters.get("CreateBucketConfiguration") or {}
        constraint = configuration.get("LocationConstraint")
        region = region_of(context.region, constraint)
        ownership = parameters.get("ObjectOwnership") or ENFORCED
        if ownership not in _OWNERSHIPS:
            text = f"Invalid x-amz-object-ownership header: {ownership}"
            raise invalid_argument(text, "x-amz-object-ownership", ownership)
        if ownership == ENFORCED and parameters.get("ACL") not in (None, "private", "bucket-owner-full-control"):
            text = "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting"
            raise error("InvalidBucketAclWithObjectOwnership", text, 400)
        grants = (
            acl.of_request(parameters, context.account) if acl.given(parameters) and ownership != ENFORCED else None
        )
        if grants is not None and acl.is_public(grants):
            text = "Bucket cannot have public ACLs set with BlockPublicAccess enabled"
            raise error("InvalidBucketAclWithBlockPublicAccessError", text, 400)
        locked = bool(parameters.get("ObjectLockEnabledForBucket"))
        made = await self._buckets.create(
            Bucket(
                id=0,
                name=name,
                account=context.account,
                region=region,
                constraint="" if region == HOME else constraint or region,
                created_ms=self._clock.epoch_ms(),
                versioning=ENABLED if locked else "",
                ownership=ownership,
                locked=locked,
            )
        )
        tags = configuration.get("Tags")
        if made is None:
            self._refuse_taken(context, name, tags)
        elif tags:
            await self._configs.put(made.id, Kind.TAGGING, {"TagSet": [dict(tag) for tag in tags]})
        if made is not None and grants is not None:
            await self._configs.put(made.id, Kind.ACL, {"Grants": grants})
        location = f"/{name}" if region == HOME else f"http://{name}.s3.amazonaws.com/"
        return {"Location": location, "BucketArn": f"arn:aws:s3:::{name}"}

    def _refuse_taken(self, context: CallContext, name: str, tags: Any) -> None:
        """Raises, but where AWS lets an owner create a bucket again."""
        bucket = self._buckets.get(name)
        if bucket.account != context.account:
            text = (
                "The requested bucket name is not available. The bucket namespace is shared by all users of the"
                " system. Please select a different name and try again."
            )
            raise error("BucketAlreadyExists", text, 409, BucketName=name)
        if context.region != HOME or bucket.region != HOME or tags:
            text = "Your previous request to create the named bucket succeeded and you already own it."
            raise error("BucketAlreadyOwnedByYou", text, 409, BucketName=name)

    async def head_bucket(self, context: CallContext, parameters: Parameters) -> Result:
        bucket = common.bucket_of(self._buckets, context, parameters)
        return {"BucketRegion": bucket.region, "AccessPointAlias": False, "BucketArn": bucket.arn}

    async def delete_bucket(self, context: CallContext, parameters: Parameters) -> Result:
        bucket = common.bucket_of(self._buckets, context, parameters)
        await self._files.delete(await self._buckets.delete(bucket))
        return {}

    async def get_bucket_location(self, context: CallContext, parameters: Parameters) -> Result:
        bucket = common.bucket_of(self._buckets, context, parameters)
        return {"LocationConstraint": bucket.constraint} if bucket.constraint else {}

    async def list_buckets(self, context: CallContext, parameters: Parameters) -> Result:
        region, prefix = parameters.get("BucketRegion"), parameters.get("Prefix")
        if region is not None and region not in REGIONS:
            raise invalid_argument(f"Argument value {region} is not a valid AWS Region", "bucket-region", region)
        asked = parameters.get("MaxBuckets")
        if asked is not None and not 1 <= asked <= MOST:
            text = f"Argument max-buckets must be an integer between 1 and {MOST}"
            raise invalid_argument(text, "max-buckets", asked)
        limit, after = asked or MOST, _after(parameters.get("ContinuationToken"))
        found = [
            bucket
            for bucket in self._buckets.of(context.account)
            if bucket.name > after and bucket.name.startswith(prefix or "") and region in (None, bucket.region)
        ]
        result: dict[str, Any] = {
            "Owner": {"ID": canonical_id(context.account)},
            "Buckets": [
                {
                    "Name": bucket.name,
                    "CreationDate": common.moment(bucket.created_ms),
                    "BucketRegion": bucket.region,
                    "BucketArn": bucket.arn,
                }
                for bucket in found[:limit]
            ],
        }
        if prefix is not None:
            result["Prefix"] = prefix
        if len(found) > limit:
            result["ContinuationToken"] = urlsafe_b64encode(found[limit - 1].name.encode()).decode()
        return result


def _check_namespace(name: str, context: CallContext, namespace: str | None) -> None:
    """In the namespace of an account and a region a name says both."""
    if namespace == "account-regional" and not name.endswith(f"-{context.account}-{context.region}-an"):
        raise error("InvalidBucketName", "The specified bucket is not valid.", 400, BucketName=name)


def check_name(name: str) -> None:
    wrong = (
        not _NAME.fullmatch(name)
        or ".." in name
        or ".-" in name
        or "-." in name
        or _ADDRESS.fullmatch(name)
        or name.startswith(_STARTS)
        or name.endswith(_ENDS)
    )
    if wrong:
        raise error("InvalidBucketName", "The specified bucket is not valid.", 400, BucketName=name)


def region_of(endpoint: str, constraint: str | None) -> str:
    """Where a new bucket is, as the endpoint of a region allows it."""
    if endpoint == HOME:
        if not constraint:
            return HOME
        if constraint == "EU":
            return "eu-west-1"
        if constraint == HOME or constraint not in REGIONS:
            text = "The specified location-constraint is not valid"
            raise error("InvalidLocationConstraint", text, 400, LocationConstraint=constraint)
        return constraint
    if constraint == endpoint or (constraint == "EU" and endpoint == "eu-west-1"):
        return endpoint
    raise _illegal(constraint)


def _illegal(constraint: str | None) -> ApiError:
    text = (
        f"The {constraint or 'unspecified'} location constraint is incompatible for the region specific endpoint this"
        " request was sent to."
    )
    return error("IllegalLocationConstraintException", text, 400)


def _after(token: str | None) -> str:
    if not token:
        return ""
    try:
        return urlsafe_b64decode(token).decode()
    except ValueError:
        text = "The continuation token provided is incorrect"
        raise invalid_argument(text, "continuation-token", token) from None
