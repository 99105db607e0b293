"""ACLs of buckets and objects. Where the owner owns all, as in new buckets, there is one grant, and no other taken."""

import json
from dataclasses import replace
from typing import Any

from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.services.s3.api.common import bucket_of, origin_of
from lambent.services.s3.buckets import Buckets
from lambent.services.s3.configs import acl
from lambent.services.s3.configs.configs import Configs
from lambent.services.s3.configs.kinds import Kind
from lambent.services.s3.configs.public_access import blocks
from lambent.services.s3.errors import access_denied
from lambent.services.s3.objects import Marking, Objects
from lambent.services.s3.owners import canonical_id
from lambent.services.s3.records import ENFORCED, Bucket, ObjectVersion, State


class AclApi:
    def __init__(self, buckets: Buckets, configs: Configs, objects: Objects) -> None:
        self._buckets = buckets
        self._configs = configs
        self._objects = objects

    def operations(self) -> Operations:
        return {
            "GetBucketAcl": self.get_bucket_acl,
            "PutBucketAcl": self.put_bucket_acl,
            "GetObjectAcl": self.get_object_acl,
            "PutObjectAcl": self.put_object_acl,
        }

    async def get_bucket_acl(self, context: CallContext, parameters: Parameters) -> Result:
        bucket = bucket_of(self._buckets, context, parameters)
        return _shown(bucket, bucket_grants(self._configs, bucket))

    async def put_bucket_acl(self, context: CallContext, parameters: Parameters) -> Result:
        bucket = bucket_of(self._buckets, context, parameters)
        await self._configs.put(bucket.id, Kind.ACL, {"Grants": self._asked(bucket, parameters)})
        return {}

    async def get_object_acl(self, context: CallContext, parameters: Parameters) -> Result:
        bucket = bucket_of(self._buckets, context, parameters)
        version = await self._objects.head(bucket, parameters["Key"], parameters.get("VersionId"), "GET")
        return _shown(bucket, object_grants(bucket, version))

    async def put_object_acl(self, context: CallContext, parameters: Parameters) -> Result:
        bucket = bucket_of(self._buckets, context, parameters)
        text = json.dumps(self._asked(bucket, parameters))
        key, version_id = parameters["Key"], parameters.get("VersionId")
        before = await self._objects.head(bucket, key, version_id, "PUT")

        def change(state: State) -> State:
            return replace(state, acl=text)

        # AWS tells of an ACL only when it is another one.
        events = () if object_grants(bucket, before) == json.loads(text) else ("ObjectAcl:Put",)
        await self._objects.mark(bucket, key, version_id, Marking(change, "PUT", events), origin_of(context))
        return {}

    def _asked(self, bucket: Bucket, parameters: Parameters) -> acl.Grants:
        grants = acl.of_request(parameters, bucket.account)
        acl.refuse_where_enforced(bucket)
        if acl.is_public(grants) and blocks(self._configs, bucket, "BlockPublicAcls"):
            raise access_denied()
        return grants


def bucket_grants(configs: Configs, bucket: Bucket) -> list[dict[str, Any]]:
    document = None if bucket.ownership == ENFORCED else configs.document(bucket.id, Kind.ACL)
    return [acl.owner_grant(bucket.account)] if document is None else list(document["Grants"])


def object_grants(bucket: Bucket, version: ObjectVersion) -> list[dict[str, Any]]:
    if bucket.ownership == ENFORCED or not version.state.acl:
        return [acl.owner_grant(bucket.account)]
    return list(json.loads(version.state.acl))


def _shown(bucket: Bucket, grants: list[dict[str, Any]]) -> Result:
    return {"Owner": {"ID": canonical_id(bucket.account)}, "Grants": grants}
