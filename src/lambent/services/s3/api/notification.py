"""Get- and PutBucketNotificationConfiguration: nothing is replaced before all of the new one is known to be good."""

import base64
import os
from collections.abc import Callable

from sqlalchemy import Connection

from lambent.aws.caller import Caller
from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.core.clock import Clock
from lambent.services.s3.api.common import bucket_of
from lambent.services.s3.buckets import Buckets
from lambent.services.s3.configs.configs import Configs
from lambent.services.s3.configs.kinds import Kind
from lambent.services.s3.notifications.destinations import check
from lambent.services.s3.notifications.notices import probes
from lambent.services.s3.notifications.outbox import NotificationOutbox
from lambent.services.s3.notifications.rules import rules_of
from lambent.services.s3.notifications.validation import checked


class NotificationApi:
    def __init__(
        self,
        buckets: Buckets,
        configs: Configs,
        outbox: NotificationOutbox,
        caller: Caller,
        clock: Clock,
        ids_of: Callable[[str], tuple[str, str]],
    ) -> None:
        self._buckets = buckets
        self._configs = configs
        self._outbox = outbox
        self._caller = caller
        self._clock = clock
        self._ids_of = ids_of

    def operations(self) -> Operations:
        return {
            "GetBucketNotificationConfiguration": self.get_notification,
            "PutBucketNotificationConfiguration": self.put_notification,
        }

    async def get_notification(self, context: CallContext, parameters: Parameters) -> Result:
        bucket = bucket_of(self._buckets, context, parameters)
        return self._configs.document(bucket.id, Kind.NOTIFICATION) or {}

    async def put_notification(self, context: CallContext, parameters: Parameters) -> Result:
        bucket = bucket_of(self._buckets, context, parameters)
        document = checked(parameters.get("NotificationConfiguration") or {}, _new_id)
        rules = rules_of(document)
        if not parameters.get("SkipDestinationValidation"):
            await check(self._caller, bucket, rules)
        if not document:
            await self._configs.delete(bucket.id, Kind.NOTIFICATION)
            return {}
        due = list(probes(bucket, rules, self._clock.epoch_ms(), self._ids_of(context.request_id)))

        def test(connection: Connection) -> None:
            self._outbox.put(connection, due)

        await self._configs.put(bucket.id, Kind.NOTIFICATION, document, also=test)
        self._outbox.committed()
        return {}


def _new_id() -> str:
    return base64.b64encode(os.urandom(36)).decode()
