"""What is done with a receipt handle: DeleteMessage, ChangeMessageVisibility, and their batches."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from lambent.aws.errors import ApiError
from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.services.sqs.api import batch
from lambent.services.sqs.api.access import Access
from lambent.services.sqs.api.errors import invalid_value, missing, no_queue, of_handle, throttled
from lambent.services.sqs.broker import Broker
from lambent.services.sqs.records import MAX_VISIBILITY_S, QueueKey, QueueMissing, Refusal, Throttled

_DELETE: Final = "DeleteMessageBatchRequestEntry"
_CHANGE: Final = "ChangeMessageVisibilityBatchRequestEntry"


class ReceiptApi:
    def __init__(self, broker: Broker, access: Access) -> None:
        self._broker = broker
        self._access = access

    def operations(self) -> Operations:
        return {
            "DeleteMessage": self.delete_message,
            "DeleteMessageBatch": self.delete_message_batch,
            "ChangeMessageVisibility": self.change_message_visibility,
            "ChangeMessageVisibilityBatch": self.change_message_visibility_batch,
        }

    async def delete_message(self, context: CallContext, parameters: Parameters) -> Result:
        handle: str = parameters["ReceiptHandle"]
        if not handle:
            raise missing("ReceiptHandle")
        queue = self._access.queue(context, parameters["QueueUrl"], "DeleteMessage")
        (refusal,) = await self._delete(queue.key, (handle,))
        if refusal is not None:
            raise of_handle(refusal, handle)
        return {}

    async def delete_message_batch(self, context: CallContext, parameters: Parameters) -> Result:
        queue = self._access.queue(context, parameters["QueueUrl"], "DeleteMessage")
        entries: Sequence[Mapping[str, Any]] = parameters["Entries"]
        _check(entries, _DELETE)
        refusals = await self._delete(queue.key, [entry["ReceiptHandle"] for entry in entries])
        errors = [
            None if refusal is None else of_handle(refusal, entry["ReceiptHandle"])
            for entry, refusal in zip(entries, refusals, strict=True)
        ]
        return _result(entries, errors)

    async def change_message_visibility(self, context: CallContext, parameters: Parameters) -> Result:
        handle, seconds = parameters["ReceiptHandle"], parameters["VisibilityTimeout"]
        if not handle:
            raise missing("ReceiptHandle")
        queue = self._access.queue(context, parameters["QueueUrl"], "ChangeMessageVisibility")
        if not 0 <= seconds <= MAX_VISIBILITY_S:
            raise invalid_value(seconds, "VisibilityTimeout", "Must be between 0 and 43200.")
        (refusal,) = await self._change(queue.key, [(handle, seconds)])
        if refusal is not None:
            raise of_handle(refusal, handle, seconds)
        return {}

    async def change_message_visibility_batch(self, context: CallContext, parameters: Parameters) -> Result:
        queue = self._access.queue(context, parameters["QueueUrl"], "ChangeMessageVisibility")
        entries: Sequence[Mapping[str, Any]] = parameters["Entries"]
        _check(entries, _CHANGE)
        errors: list[ApiError | None] = [_bad_timeout(entry.get("VisibilityTimeout", 0)) for entry in entries]
        good = [at for at, error in enumerate(errors) if error is None]
        changes = [(entries[at]["ReceiptHandle"], entries[at].get("VisibilityTimeout", 0)) for at in good]
        refusals = await self._change(queue.key, changes) if changes else ()
        for at, (handle, seconds), refusal in zip(good, changes, refusals, strict=True):
            errors[at] = None if refusal is None else of_handle(refusal, handle, seconds)
        return _result(entries, errors)

    async def _delete(self, key: QueueKey, handles: Sequence[str]) -> Sequence[Refusal | None]:
        try:
            return await self._broker.delete(key, handles)
        except QueueMissing:
            raise no_queue() from None
        except Throttled:
            raise throttled() from None

    async def _change(self, key: QueueKey, changes: Sequence[tuple[str, int]]) -> Sequence[Refusal | None]:
        try:
            return await self._broker.change_visibility(key, changes)
        except QueueMissing:
            raise no_queue() from None


def _check(entries: Sequence[Mapping[str, Any]], entry: str) -> None:
    batch.check(entries, entry)
    for number, one in enumerate(entries, 1):
        if not one.get("ReceiptHandle"):
            raise missing(f"{entry}.{number}.ReceiptHandle")
    batch.check_distinct(entries)


def _bad_timeout(seconds: int) -> ApiError | None:
    if 0 <= seconds <= MAX_VISIBILITY_S:
        return None
    reason = "VisibilityTimeout must be an integer between 0 and 43200."
    return invalid_value(seconds, "VisibilityTimeout", reason)


def _result(entries: Sequence[Mapping[str, Any]], errors: Sequence[ApiError | None]) -> Result:
    pairs = list(zip(entries, errors, strict=True))
    return batch.result(
        [{"Id": entry["Id"]} for entry, error in pairs if error is None],
        [batch.failure(entry["Id"], error) for entry, error in pairs if error is not None],
    )
