"""The policy of a bucket: put, shown as it was put, deleted, and whether it is public."""

from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.services.s3.api.common import bucket_of
from lambent.services.s3.buckets import Buckets
from lambent.services.s3.configs import policy
from lambent.services.s3.configs.configs import Configs
from lambent.services.s3.configs.kinds import Kind
from lambent.services.s3.configs.public_access import blocks
from lambent.services.s3.configs.simple import missing
from lambent.services.s3.errors import access_denied
from lambent.services.s3.records import Bucket


class PolicyApi:
    def __init__(self, buckets: Buckets, configs: Configs) -> None:
        self._buckets = buckets
        self._configs = configs

    def operations(self) -> Operations:
        return {
            "GetBucketPolicy": self.get_policy,
            "PutBucketPolicy": self.put_policy,
            "DeleteBucketPolicy": self.delete_policy,
            "GetBucketPolicyStatus": self.get_policy_status,
        }

    async def get_policy(self, context: CallContext, parameters: Parameters) -> Result:
        return {"Policy": self._the(bucket_of(self._buckets, context, parameters))}

    async def put_policy(self, context: CallContext, parameters: Parameters) -> Result:
        bucket = bucket_of(self._buckets, context, parameters)
        text = parameters.get("Policy") or ""
        policy.checked(text, bucket.arn)
        if policy.is_public(text) and blocks(self._configs, bucket, "BlockPublicPolicy"):
            raise access_denied()
        await self._configs.put(bucket.id, Kind.POLICY, text)
        return {}

    async def delete_policy(self, context: CallContext, parameters: Parameters) -> Result:
        bucket = bucket_of(self._buckets, context, parameters)
        await self._configs.delete(bucket.id, Kind.POLICY)
        return {}

    async def get_policy_status(self, context: CallContext, parameters: Parameters) -> Result:
        text = self._the(bucket_of(self._buckets, context, parameters))
        return {"PolicyStatus": {"IsPublic": policy.is_public(text)}}

    def _the(self, bucket: Bucket) -> str:
        text = self._configs.document(bucket.id, Kind.POLICY)
        if text is None:
            raise missing("NoSuchBucketPolicy", "The bucket policy does not exist", bucket)
        return str(text)
