"""PutObjectTagging, GetObjectTagging, DeleteObjectTagging."""

from dataclasses import replace

from lambent.aws.errors import ApiError
from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.services.s3 import lookup, tagging
from lambent.services.s3.api import common
from lambent.services.s3.buckets import Buckets
from lambent.services.s3.objects import Marking, Objects
from lambent.services.s3.records import Bucket, ObjectVersion, State


class TagApi:
    def __init__(self, objects: Objects, buckets: Buckets) -> None:
        self._objects = objects
        self._buckets = buckets

    def operations(self) -> Operations:
        return {
            "PutObjectTagging": self.put_object_tagging,
            "GetObjectTagging": self.get_object_tagging,
            "DeleteObjectTagging": self.delete_object_tagging,
        }

    async def put_object_tagging(self, context: CallContext, parameters: Parameters) -> Result:
        tags = tagging.from_list(parameters["Tagging"].get("TagSet") or ())

        def apply(state: State) -> State:
            return replace(state, tags=tags)

        return await self._mark(context, parameters, Marking(apply, "PUT", ("ObjectTagging:Put",)))

    async def delete_object_tagging(self, context: CallContext, parameters: Parameters) -> Result:
        def apply(state: State) -> State:
            return replace(state, tags={})

        return await self._mark(context, parameters, Marking(apply, "DELETE", ("ObjectTagging:Delete",)))

    async def get_object_tagging(self, context: CallContext, parameters: Parameters) -> Result:
        bucket = common.bucket_of(self._buckets, context, parameters)
        key, version_id = parameters["Key"], parameters.get("VersionId")
        try:
            found = lookup.markable(await self._objects.find(bucket, key, version_id), key, version_id, "GET")
        except ApiError as refused:
            if refused.code == "NoSuchKey":
                # As recorded: the key is told with its bucket here.
                refused.members["Key"] = f"{bucket.name}/{key}"
            raise
        return _shown(bucket, found) | {"TagSet": tagging.as_list(found.state.tags)}

    async def _mark(self, context: CallContext, parameters: Parameters, change: Marking) -> Result:
        bucket = common.bucket_of(self._buckets, context, parameters)
        origin = common.origin_of(context)
        version = await self._objects.mark(bucket, parameters["Key"], parameters.get("VersionId"), change, origin)
        return _shown(bucket, version)


def _shown(bucket: Bucket, version: ObjectVersion) -> dict[str, object]:
    return common.without_none({"VersionId": lookup.shown_id(bucket, version)})
