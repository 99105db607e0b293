"""Queues: CreateQueue, DeleteQueue, GetQueueUrl, ListQueues, GetQueueAttributes, SetQueueAttributes, PurgeQueue."""

import re
from collections.abc import Mapping
from typing import Final

from lambent.aws.errors import ApiError
from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.services.sqs.api import attributes as rules
from lambent.services.sqs.api.access import Access, url_of
from lambent.services.sqs.api.errors import (
    bad_attribute,
    invalid,
    missing,
    no_queue,
    unknown_attribute,
)
from lambent.services.sqs.api.pages import page
from lambent.services.sqs.api.redrive import allow_policy, redrive_policy
from lambent.services.sqs.api.tags import check_tags
from lambent.services.sqs.broker import Broker
from lambent.services.sqs.records import DeletedRecently, NameTaken, PurgeInProgress, QueueKey, QueueMissing

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,80}", re.ASCII)
_FIFO_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,75}\.fifo", re.ASCII)
_BAD_NAME: Final = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
_BAD_FIFO_NAME: Final = (
    "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, "
    "must end with .fifo suffix and be 1 to 80 in length"
)


class QueueApi:
    def __init__(self, broker: Broker, access: Access) -> None:
        self._broker = broker
        self._access = access

    def operations(self) -> Operations:
        return {
            "CreateQueue": self.create_queue,
            "DeleteQueue": self.delete_queue,
            "GetQueueUrl": self.get_queue_url,
            "ListQueues": self.list_queues,
            "ListDeadLetterSourceQueues": self.list_dead_letter_source_queues,
            "GetQueueAttributes": self.get_queue_attributes,
            "SetQueueAttributes": self.set_queue_attributes,
            "PurgeQueue": self.purge_queue,
        }

    async def create_queue(self, context: CallContext, parameters: Parameters) -> Result:
        name: str = parameters["QueueName"]
        given: Mapping[str, str] = parameters.get("Attributes") or {}
        tags = parameters.get("tags") or {}
        fifo = _is_fifo(name, given)
        check_tags(name, tags)
        key = QueueKey(context.account, context.region, name)
        attributes = self._changes(key, given, fifo=fifo, current={})
        found = self._broker.get(key)
        if found is None:
            try:
                set_ = {name: value for name, value in attributes.items() if value is not None}
                await self._broker.create(key, fifo=fifo, attributes=set_, tags=tags)
            except DeletedRecently:
                text = (
                    "You must wait 60 seconds after deleting a queue before you can create another with the same name."
                )
                raise ApiError("QueueDeletedRecently", text) from None
            except NameTaken:
                found = self._broker.get(key)
        if found is not None:
            shown = rules.shown(found)
            for name in given:
                if name != "FifoQueue" and attributes[name] != shown.get(name):
                    text = f"A queue already exists with the same name and a different value for attribute {name}"
                    raise ApiError("QueueNameExists", text)
        return {"QueueUrl": url_of(context, key)}

    async def delete_queue(self, context: CallContext, parameters: Parameters) -> Result:
        queue = self._access.queue(context, parameters["QueueUrl"], "DeleteQueue")
        try:
            await self._broker.delete_queue(queue.key)
        except QueueMissing:
            raise no_queue() from None
        return {}

    async def get_queue_url(self, context: CallContext, parameters: Parameters) -> Result:
        name: str = parameters["QueueName"]
        if not name:
            raise invalid("Value for parameter QueueName is invalid. Reason: Must specify a queue name.")
        key = QueueKey(parameters.get("QueueOwnerAWSAccountId") or context.account, context.region, name)
        return {"QueueUrl": url_of(context, self._access.of_key(context, key, "GetQueueUrl").key)}

    async def list_queues(self, context: CallContext, parameters: Parameters) -> Result:
        prefix = parameters.get("QueueNamePrefix") or ""
        queues = self._broker.list(context.account, context.region)
        names = [queue.key.name for queue in queues if queue.key.name.startswith(prefix)]
        return self._page(context, context.account, names, "QueueUrls", parameters)

    async def list_dead_letter_source_queues(self, context: CallContext, parameters: Parameters) -> Result:
        queue = self._access.queue(context, parameters["QueueUrl"], "ListDeadLetterSourceQueues")
        names = [source.key.name for source in self._broker.sources_of(queue.key)]
        return self._page(context, queue.key.account, names, "queueUrls", parameters)

    async def get_queue_attributes(self, context: CallContext, parameters: Parameters) -> Result:
        queue = self._access.queue(context, parameters["QueueUrl"], "GetQueueAttributes")
        names = parameters.get("AttributeNames") or []
        rules.check_names(names, fifo=queue.fifo)
        everything = "All" in names
        counts = None
        if everything or not frozenset(rules.COUNTED).isdisjoint(names):
            try:
                counts = await self._broker.counts(queue.key)
            except QueueMissing:
                raise no_queue() from None
        shown = rules.shown(queue, counts)
        return {"Attributes": shown if everything else {name: shown[name] for name in names if name in shown}}

    async def set_queue_attributes(self, context: CallContext, parameters: Parameters) -> Result:
        queue = self._access.queue(context, parameters["QueueUrl"], "SetQueueAttributes")
        given: Mapping[str, str] = parameters["Attributes"]
        if not given:
            raise missing("Attribute.Name")
        changes = self._changes(queue.key, given, fifo=queue.fifo, current=queue.attributes)
        if rules.is_true(given.get("FifoQueue", "true")) is not True:
            raise bad_attribute("FifoQueue", "Modifying queue type is not supported.")
        try:
            await self._broker.set_attributes(queue.key, changes)
        except QueueMissing:
            raise no_queue() from None
        return {}

    async def purge_queue(self, context: CallContext, parameters: Parameters) -> Result:
        queue = self._access.queue(context, parameters["QueueUrl"], "PurgeQueue")
        try:
            await self._broker.purge(queue.key)
        except QueueMissing:
            raise no_queue() from None
        except PurgeInProgress:
            text = f"Only one PurgeQueue operation on {queue.key.name} is allowed every 60 seconds."
            raise ApiError("PurgeQueueInProgress", text) from None
        return {}

    def _changes(
        self, key: QueueKey, given: Mapping[str, str], *, fifo: bool, current: Mapping[str, str]
    ) -> rules.Changes:
        found = rules.changes(given, fifo=fifo, current=current)
        redrive, allowed = found.get("RedrivePolicy"), found.get("RedriveAllowPolicy")
        if redrive is not None:
            found["RedrivePolicy"] = redrive_policy(redrive, key, fifo=fifo, find=self._broker.get)
        if allowed is not None:
            found["RedriveAllowPolicy"] = allow_policy(allowed)
        return found

    def _page(
        self, context: CallContext, account: str, names: list[str], member: str, parameters: Parameters
    ) -> Result:
        shown, token = page(names, parameters.get("MaxResults"), parameters.get("NextToken"))
        urls = [url_of(context, QueueKey(account, context.region, name)) for name in shown]
        return {member: urls} | ({} if token is None else {"NextToken": token})


def _is_fifo(name: str, given: Mapping[str, str]) -> bool:
    """Whether the queue shall be FIFO, by a name that fits. Raises `ApiError`."""
    if not name:
        raise invalid("Queue name cannot be empty")
    wanted = None if "FifoQueue" not in given else rules.is_true(given["FifoQueue"])
    if wanted:
        if not _FIFO_NAME.fullmatch(name):
            raise invalid(_BAD_FIFO_NAME)
        return True
    if not _NAME.fullmatch(name):
        raise invalid(_BAD_NAME)
    if "FifoQueue" in given:
        raise unknown_attribute("FifoQueue")
    return False
