"""SendMessage and SendMessageBatch: what a queue takes, and the answer once it is on disk."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from lambent.aws.errors import ApiError
from lambent.aws.keys import KeyRing
from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.services.sqs.api import batch
from lambent.services.sqs.api.access import Access
from lambent.services.sqs.api.errors import invalid, invalid_value, missing, no_queue, not_of_this_type, throttled
from lambent.services.sqs.api.message_attributes import (
    TRACE_HEADER,
    Attributes,
    attributes_of,
    body_digest,
    digest,
    is_sayable,
    system_attributes_of,
)
from lambent.services.sqs.broker import Broker
from lambent.services.sqs.records import Outgoing, QueueMissing, QueueRecord, Sent, Throttled

MAX_DELAY_S: Final = 900
BATCH_BYTES: Final = 1_048_576
ENTRY: Final = "SendMessageBatchRequestEntry"
_ID: Final = re.compile(r"[!-~]{1,128}", re.ASCII)
_NONE: Final[Mapping[str, Any]] = {}
_BAD_CHARACTERS: Final = (
    "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | "
    "#x10000 to #x10FFFF"
)
_NO_DEDUPLICATION: Final = (
    "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"
)
_NO_GROUP: Final = "The request must contain the parameter MessageGroupId."


class SendApi:
    def __init__(self, broker: Broker, access: Access, keys: KeyRing) -> None:
        self._broker = broker
        self._access = access
        self._keys = keys

    def operations(self) -> Operations:
        return {"SendMessage": self.send_message, "SendMessageBatch": self.send_message_batch}

    async def send_message(self, context: CallContext, parameters: Parameters) -> Result:
        if not parameters["MessageBody"]:
            raise missing("MessageBody")
        queue = self._access.queue(context, parameters["QueueUrl"], "SendMessage")
        message, system = self._outgoing(context, queue, parameters)
        if message.size_bytes > queue.max_bytes:
            raise invalid(
                f"One or more parameters are invalid. Reason: Message must be shorter than {queue.max_bytes} bytes."
            )
        try:
            (sent,) = await self._broker.send(queue.key, (message,))
        except QueueMissing:
            raise no_queue() from None
        except Throttled:
            raise throttled() from None
        return _result(message, system, sent)

    async def send_message_batch(self, context: CallContext, parameters: Parameters) -> Result:
        queue = self._access.queue(context, parameters["QueueUrl"], "SendMessage")
        entries: Sequence[Mapping[str, Any]] = parameters["Entries"]
        batch.check(entries, ENTRY)
        if queue.fifo:
            _check_fifo_entries(queue, entries)
        batch.check_distinct(entries)
        failed: list[dict[str, Any]] = []
        ready: list[tuple[str, Outgoing, Attributes]] = []
        total = 0
        for number, entry in enumerate(entries, 1):
            try:
                if not entry.get("MessageBody"):
                    raise missing(f"{ENTRY}.{number}.MessageBody")
                message, system = self._outgoing(context, queue, entry)
                size = message.size_bytes
                if size > queue.max_bytes and size <= BATCH_BYTES:
                    raise invalid(
                        "One or more parameters cannot be validated. "
                        f"Reason: Message must be shorter than {queue.max_bytes} bytes."
                    )
            except ApiError as error:
                if queue.fifo:
                    raise
                failed.append(batch.failure(entry["Id"], error))
                size = _raw_size(entry)
            else:
                ready.append((entry["Id"], message, system))
            total += size
        if total > BATCH_BYTES:
            text = f"Batch requests cannot be longer than {BATCH_BYTES} bytes. You have sent {total} bytes."
            raise ApiError("BatchRequestTooLong", text)
        try:
            sent = await self._broker.send(queue.key, [message for _, message, _ in ready]) if ready else ()
        except QueueMissing:
            raise no_queue() from None
        except Throttled:
            raise throttled() from None
        successful = [
            {"Id": name, **_result(message, system, one)}
            for (name, message, system), one in zip(ready, sent, strict=True)
        ]
        return batch.result(successful, failed)

    def _outgoing(
        self, context: CallContext, queue: QueueRecord, given: Mapping[str, Any]
    ) -> tuple[Outgoing, Attributes]:
        """Raises `ApiError`; the size is for the caller to look at."""
        text: str = given["MessageBody"]
        if not is_sayable(text):
            raise ApiError("InvalidMessageContents", _BAD_CHARACTERS)
        delay_s = given.get("DelaySeconds")
        if delay_s is not None:
            if not 0 <= delay_s <= MAX_DELAY_S:
                raise invalid_value(delay_s, "DelaySeconds", "DelaySeconds must be >= 0 and <= 900.")
            if queue.fifo:
                if delay_s:
                    raise not_of_this_type(delay_s, "DelaySeconds")
                delay_s = None
        group, deduplication = given.get("MessageGroupId"), given.get("MessageDeduplicationId")
        if queue.fifo:
            if group is None:
                raise missing("MessageGroupId")
            if deduplication is None and not queue.by_content:
                raise invalid(_NO_DEDUPLICATION)
        elif deduplication is not None:
            raise not_of_this_type(deduplication, "MessageDeduplicationId")
        _check_id("MessageGroupId", group)
        _check_id("MessageDeduplicationId", deduplication)
        attributes, system = given.get("MessageAttributes"), given.get("MessageSystemAttributes")
        kept = system_attributes_of(system) if system else _NONE
        return (
            Outgoing(
                body=text.encode(),
                sender_id=self._sender(context),
                attributes=attributes_of(attributes) if attributes else _NONE,
                trace_header=kept[TRACE_HEADER].value.decode() if kept else context.trace_header,
                delay_s=delay_s,
                group_id=group,
                deduplication_id=deduplication,
            ),
            kept,
        )

    def _sender(self, context: CallContext) -> str:
        """The unique id of who sends, where it is known; the account for its root."""
        known = self._keys.find(context.identity.access_key_id)
        return context.identity.account if known is None else known.user_id


def _check_fifo_entries(queue: QueueRecord, entries: Sequence[Mapping[str, Any]]) -> None:
    """In a batch these are faults of the whole call, with other codes than alone."""
    if any(entry.get("MessageGroupId") is None for entry in entries):
        raise invalid(_NO_GROUP)
    if not queue.by_content and any(entry.get("MessageDeduplicationId") is None for entry in entries):
        raise invalid(_NO_DEDUPLICATION)


def _check_id(parameter: str, value: str | None) -> None:
    if value is not None and not _ID.fullmatch(value):
        reason = f"{parameter} can only include alphanumeric and punctuation characters. 1 to 128 in length."
        raise invalid_value(value, parameter, reason)


def _raw_size(entry: Mapping[str, Any]) -> int:
    """Of an entry that is refused: its body counts all the same."""
    return len((entry.get("MessageBody") or "").encode("utf-8", "surrogatepass"))


def _result(message: Outgoing, system: Attributes, sent: Sent) -> dict[str, Any]:
    result = {"MessageId": sent.message_id, "MD5OfMessageBody": body_digest(message.body)}
    if message.attributes:
        result["MD5OfMessageAttributes"] = digest(message.attributes)
    if system:
        result["MD5OfMessageSystemAttributes"] = digest(system)
    if sent.sequence_number is not None:
        result["SequenceNumber"] = sent.sequence_number
    return result
