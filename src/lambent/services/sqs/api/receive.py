"""ReceiveMessage: what may be asked of it, and messages as it tells them."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from lambent.aws.errors import ApiError
from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.services.sqs.api.access import Access
from lambent.services.sqs.api.errors import invalid_value, no_queue, throttled, unknown_attribute
from lambent.services.sqs.api.message_attributes import body_digest, chosen, digest, shown
from lambent.services.sqs.broker import Broker
from lambent.services.sqs.records import MAX_VISIBILITY_S, AttemptOver, OverLimit, QueueMissing, Received, Throttled

MOST: Final = 10
MAX_WAIT_S: Final = 20
_SYSTEM: Final = (
    *("SenderId", "SentTimestamp", "ApproximateReceiveCount", "ApproximateFirstReceiveTimestamp"),
    *("SequenceNumber", "MessageDeduplicationId", "MessageGroupId", "AWSTraceHeader", "DeadLetterQueueSourceArn"),
)
_ALL: Final = frozenset(_SYSTEM)
_IN_FLIGHT: Final = (
    "Too many messages have been received without being deleted. "
    "Please delete your received messages or let them timeout before receiving more."
)


class ReceiveApi:
    def __init__(self, broker: Broker, access: Access) -> None:
        self._broker = broker
        self._access = access

    def operations(self) -> Operations:
        return {"ReceiveMessage": self.receive_message}

    async def receive_message(self, context: CallContext, parameters: Parameters) -> Result:
        queue = self._access.queue(context, parameters["QueueUrl"], "ReceiveMessage")
        limit = parameters.get("MaxNumberOfMessages")
        wait_s, visibility_s = parameters.get("WaitTimeSeconds"), parameters.get("VisibilityTimeout")
        if limit is not None and not 1 <= limit <= MOST:
            raise invalid_value(limit, "MaxNumberOfMessages", "Must be between 1 and 10, if provided.")
        if wait_s is not None and not 0 <= wait_s <= MAX_WAIT_S:
            raise invalid_value(wait_s, "WaitTimeSeconds", "Must be >= 0 and <= 20, if provided.")
        if visibility_s is not None and not 0 <= visibility_s <= MAX_VISIBILITY_S:
            raise invalid_value(visibility_s, "VisibilityTimeout", "Must be >= 0 and <= 43200, if provided.")
        system = _wanted(tuple(parameters.get("MessageSystemAttributeNames") or parameters.get("AttributeNames") or ()))
        names = parameters.get("MessageAttributeNames") or ()
        attempt = parameters.get("ReceiveRequestAttemptId") if queue.fifo else None
        if attempt is not None and not 1 <= len(attempt) <= 128:
            reason = (
                "ReceiveRequestAttemptId can only include alphanumeric and punctuation characters. 1 to 128 in length."
            )
            raise invalid_value(attempt, "ReceiveRequestAttemptId", reason)
        try:
            found = await self._broker.receive(
                queue.key, limit=limit or 1, visibility_s=visibility_s, wait_s=wait_s, attempt_id=attempt
            )
        except QueueMissing:
            raise no_queue() from None
        except Throttled:
            raise throttled() from None
        except OverLimit:
            raise ApiError("OverLimit", _IN_FLIGHT) from None
        except AttemptOver:
            reason = "The receiveRequestAttemptId is not valid anymore since the receive call is not retryable."
            raise invalid_value(attempt, "ReceiveRequestAttemptId", reason) from None
        return {"Messages": [_message(message, system, names) for message in found]} if found else {}


@lru_cache(maxsize=256)
def _wanted(names: tuple[str, ...]) -> frozenset[str]:
    """System attributes. Raises `ApiError` for a name that there is none of; those of queues pass and match nothing."""
    if "All" in names:
        return _ALL
    for name in names:
        if name not in _ALL and name not in _OF_QUEUES:
            raise unknown_attribute(name)
    return frozenset(names)


_OF_QUEUES: Final = frozenset(
    {
        *("Policy", "VisibilityTimeout", "MaximumMessageSize", "MessageRetentionPeriod", "ApproximateNumberOfMessages"),
        *("ApproximateNumberOfMessagesNotVisible", "CreatedTimestamp", "LastModifiedTimestamp", "QueueArn"),
        *("ApproximateNumberOfMessagesDelayed", "DelaySeconds", "ReceiveMessageWaitTimeSeconds", "RedrivePolicy"),
        *("FifoQueue", "ContentBasedDeduplication", "KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds"),
        *("DeduplicationScope", "FifoThroughputLimit", "RedriveAllowPolicy", "SqsManagedSseEnabled"),
    }
)


def _message(message: Received, system: frozenset[str], names: Sequence[str]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "MessageId": message.message_id,
        "ReceiptHandle": message.handle,
        "MD5OfBody": body_digest(message.body),
        "Body": message.body.decode(),
    }
    if system:
        values = (
            message.sender_id,
            str(message.sent_ms),
            str(message.receive_count),
            str(message.first_received_ms),
            message.sequence_number,
            message.deduplication_id,
            message.group_id,
            message.trace_header,
            message.source_arn,
        )
        asked = {
            name: value for name, value in zip(_SYSTEM, values, strict=True) if value is not None and name in system
        }
        if asked:
            told["Attributes"] = asked
    attributes = chosen(message.attributes, names)
    if attributes:
        told["MD5OfMessageAttributes"] = digest(attributes)
        told["MessageAttributes"] = shown(attributes)
    return told
