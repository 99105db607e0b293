"""Tags of queues: TagQueue, UntagQueue, ListQueueTags."""

import re
from collections.abc import Mapping
from typing import Final

from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.services.sqs.api.access import Access
from lambent.services.sqs.api.errors import invalid, missing, no_queue
from lambent.services.sqs.broker import Broker
from lambent.services.sqs.records import QueueMissing

MOST: Final = 50
_TEXT: Final = re.compile(r"[\w .:/=+@-]*")


class TagApi:
    def __init__(self, broker: Broker, access: Access) -> None:
        self._broker = broker
        self._access = access

    def operations(self) -> Operations:
        return {
            "TagQueue": self.tag_queue,
            "UntagQueue": self.untag_queue,
            "ListQueueTags": self.list_queue_tags,
        }

    async def tag_queue(self, context: CallContext, parameters: Parameters) -> Result:
        queue = self._access.queue(context, parameters["QueueUrl"], "TagQueue")
        tags: Mapping[str, str] = parameters["Tags"]
        if not tags:
            raise missing("Tags")
        check_tags(queue.key.name, tags, queue.tags)
        try:
            await self._broker.set_tags(queue.key, tags)
        except QueueMissing:
            raise no_queue() from None
        return {}

    async def untag_queue(self, context: CallContext, parameters: Parameters) -> Result:
        queue = self._access.queue(context, parameters["QueueUrl"], "UntagQueue")
        keys = parameters["TagKeys"]
        if not keys:
            raise missing("TagKeys")
        try:
            await self._broker.set_tags(queue.key, dict.fromkeys(keys))
        except QueueMissing:
            raise no_queue() from None
        return {}

    async def list_queue_tags(self, context: CallContext, parameters: Parameters) -> Result:
        queue = self._access.queue(context, parameters["QueueUrl"], "ListQueueTags")
        return {"Tags": dict(queue.tags)}


def check_tags(queue: str, added: Mapping[str, str], current: Mapping[str, str] | None = None) -> None:
    """Raises `ApiError`."""
    for key, value in added.items():
        if not 1 <= len(key) <= 128:
            raise invalid("Tag keys must be between 1 and 128 characters in length.")
        if value is None or len(value) > 256:
            raise invalid("Tag values must be between 0 and 256 characters in length.")
        if key.lower().startswith("aws:"):
            raise invalid("Tag keys starting with 'aws:' are reserved for system use.")
        if not (_TEXT.fullmatch(key) and _TEXT.fullmatch(value)):
            raise invalid("Tag keys and values can only contain letters, digits, spaces and _ . : / = + - @.")
    if len({**(current or {}), **added}) > MOST:
        raise invalid(f"Too many tags added for queue {queue}.")
