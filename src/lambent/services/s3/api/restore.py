"""RestoreObject: an archived object can be read again, at once and for as many days as are asked for."""

from dataclasses import replace

from lambent.aws.service import RESPONSE_STATUS, CallContext, Operations, Parameters, Result
from lambent.core.clock import Clock
from lambent.services.s3.api import common
from lambent.services.s3.buckets import Buckets
from lambent.services.s3.configs.lifecycle import due_ms
from lambent.services.s3.errors import error, malformed_xml
from lambent.services.s3.objects import Marking, Objects
from lambent.services.s3.records import ARCHIVED, State


class RestoreApi:
    def __init__(self, objects: Objects, buckets: Buckets, clock: Clock) -> None:
        self._objects = objects
        self._buckets = buckets
        self._clock = clock

    def operations(self) -> Operations:
        return {"RestoreObject": self.restore_object}

    async def restore_object(self, context: CallContext, parameters: Parameters) -> Result:
        bucket = common.bucket_of(self._buckets, context, parameters)
        key, version_id = parameters["Key"], parameters.get("VersionId")
        days = (parameters.get("RestoreRequest") or {}).get("Days")
        if days is None or days < 1:
            raise malformed_xml()
        version = await self._objects.head(bucket, key, version_id, "POST")
        if version.storage_class not in ARCHIVED:
            text = "Restore is not allowed for the object's current storage class"
            raise error("InvalidObjectState", text, 403, StorageClass=version.storage_class)
        until_ms = due_ms(self._clock.epoch_ms(), days)

        def apply(state: State) -> State:
            return replace(state, restored_until_ms=until_ms)

        # Once more only moves its end.
        again = version.state.restored_until_ms > self._clock.epoch_ms()
        change = Marking(apply, "POST", () if again else ("ObjectRestore:Post", "ObjectRestore:Completed"))
        await self._objects.mark(bucket, key, version.version_id, change, common.origin_of(context))
        return {RESPONSE_STATUS: 200} if again else {}
