"""Retention and legal holds of objects. What they hold is decided where versions are deleted."""

from dataclasses import replace
from datetime import UTC, datetime

from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.core.clock import Clock
from lambent.services.s3.api.common import bucket_of, origin_of
from lambent.services.s3.buckets import Buckets
from lambent.services.s3.configs.object_lock import MODES, no_lock, retained
from lambent.services.s3.errors import access_denied, error, invalid_argument, malformed_xml
from lambent.services.s3.objects import Marking, Objects
from lambent.services.s3.records import Bucket, State


class ObjectLockApi:
    def __init__(self, buckets: Buckets, objects: Objects, clock: Clock) -> None:
        self._buckets = buckets
        self._objects = objects
        self._clock = clock

    def operations(self) -> Operations:
        return {
            "GetObjectRetention": self.get_retention,
            "PutObjectRetention": self.put_retention,
            "GetObjectLegalHold": self.get_hold,
            "PutObjectLegalHold": self.put_hold,
        }

    async def get_retention(self, context: CallContext, parameters: Parameters) -> Result:
        state = await self._state(self._locked(context, parameters), parameters)
        if not state.lock_mode:
            raise _none_set()
        until = datetime.fromtimestamp(state.lock_until_ms / 1000, UTC)
        return {"Retention": {"Mode": state.lock_mode, "RetainUntilDate": until}}

    async def put_retention(self, context: CallContext, parameters: Parameters) -> Result:
        bucket = self._locked(context, parameters)
        given = parameters.get("Retention") or {}
        mode, until = given.get("Mode"), given.get("RetainUntilDate")
        if (mode is None) != (until is None) or (mode is not None and mode not in MODES):
            raise malformed_xml()
        until_ms = 0 if until is None else int(until.timestamp() * 1000)
        if until is not None and until_ms <= self._clock.epoch_ms():
            text = "The retain until date must be in the future!"
            raise invalid_argument(text, "RetainUntilDate", until.isoformat())
        bypass = bool(parameters.get("BypassGovernanceRetention"))

        def change(state: State) -> State:
            if state.lock_until_ms > self._clock.epoch_ms() and not retained(
                state, mode or "", until_ms, bypass=bypass
            ):
                raise access_denied("Access Denied because object protected by object lock.")
            return replace(state, lock_mode=mode or "", lock_until_ms=until_ms)

        await self._mark(bucket, context, parameters, Marking(change, "PUT", ("ObjectRetention:Put",)))
        return {}

    async def get_hold(self, context: CallContext, parameters: Parameters) -> Result:
        state = await self._state(self._locked(context, parameters), parameters)
        return {"LegalHold": {"Status": "ON" if state.hold else "OFF"}}

    async def put_hold(self, context: CallContext, parameters: Parameters) -> Result:
        bucket = self._locked(context, parameters)
        status = (parameters.get("LegalHold") or {}).get("Status")
        if status not in ("ON", "OFF"):
            raise malformed_xml()
        marking = Marking(lambda state: replace(state, hold=status == "ON"), "PUT")
        await self._mark(bucket, context, parameters, marking)
        return {}

    def _locked(self, context: CallContext, parameters: Parameters) -> Bucket:
        bucket = bucket_of(self._buckets, context, parameters)
        if not bucket.locked:
            raise no_lock()
        return bucket

    async def _state(self, bucket: Bucket, parameters: Parameters) -> State:
        version = await self._objects.head(bucket, parameters["Key"], parameters.get("VersionId"), "GET")
        return version.state

    async def _mark(self, bucket: Bucket, context: CallContext, parameters: Parameters, marking: Marking) -> None:
        key, version_id = parameters["Key"], parameters.get("VersionId")
        await self._objects.mark(bucket, key, version_id, marking, origin_of(context))


def _none_set() -> Exception:
    text = "The specified object does not have a ObjectLock configuration"
    return error("NoSuchObjectLockConfiguration", text, 404)
