"""What the broker speaks of: queues, messages on their way in and out, move tasks, and why a call was refused.

Nothing here is AWS-shaped but the names and values of `QueueRecord.attributes`, which are kept as they are shown. Times
are in ms since 1970 where the name ends so, durations in seconds.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from functools import cached_property
from typing import Final, NamedTuple

MAX_VISIBILITY_S: Final = 43_200
MAX_IN_FLIGHT: Final = 120_000
DEDUPLICATED_S: Final = 300
RECREATED_AFTER_S: Final = 60
PURGED_AFTER_S: Final = 60


class QueueKey(NamedTuple):
    """Which queue it is."""

    account: str
    region: str
    name: str

    @property
    def arn(self) -> str:
        return f"arn:aws:sqs:{self.region}:{self.account}:{self.name}"

    @classmethod
    def of_arn(cls, arn: str) -> "QueueKey | None":
        parts = arn.split(":")
        if len(parts) != 6 or parts[:3] != ["arn", "aws", "sqs"]:
            return None
        return cls(parts[4], parts[3], parts[5])


class Redrive(NamedTuple):
    """Where messages go that were received `most` times."""

    target: QueueKey
    most: int


@dataclass(frozen=True, kw_only=True)
class QueueRecord:
    """`attributes` are those that can be set, by AWS's names, as text and in their shown form; what is not in it has
    the default. Computed ones (QueueArn, Approximate..., timestamps, FifoQueue) are not in it. Not slotted: what is
    read of the attributes is computed once."""

    id: int
    """Never used twice: a queue made again under an old name is another one."""
    key: QueueKey
    fifo: bool
    attributes: Mapping[str, str]
    tags: Mapping[str, str]
    created_ms: int
    modified_ms: int
    by_group: bool = False
    """Deduplication within each group. As DeduplicationScope said at creation: later changes have no effect."""
    purged_ms: int | None = None
    floor: int = 0
    """Messages with this number and lower ones are purged."""

    @cached_property
    def visibility_s(self) -> int:
        return int(self.attributes.get("VisibilityTimeout", "30"))

    @cached_property
    def delay_s(self) -> int:
        return int(self.attributes.get("DelaySeconds", "0"))

    @cached_property
    def retention_s(self) -> int:
        return int(self.attributes.get("MessageRetentionPeriod", "345600"))

    @cached_property
    def wait_s(self) -> int:
        return int(self.attributes.get("ReceiveMessageWaitTimeSeconds", "0"))

    @cached_property
    def max_bytes(self) -> int:
        return int(self.attributes.get("MaximumMessageSize", "1048576"))

    @cached_property
    def by_content(self) -> bool:
        """A message without a deduplication id has the digest of its body."""
        return self.attributes.get("ContentBasedDeduplication", "false") == "true"

    @cached_property
    def by_group_limits(self) -> bool:
        """High throughput: limits of calls are those of each group."""
        return self.attributes.get("FifoThroughputLimit") == "perMessageGroupId"

    @cached_property
    def redrive(self) -> Redrive | None:
        """None also where the policy is not understood."""
        text = self.attributes.get("RedrivePolicy")
        if not text:
            return None
        policy = json.loads(text)
        target = QueueKey.of_arn(str(policy.get("deadLetterTargetArn", "")))
        most = str(policy.get("maxReceiveCount", ""))
        return Redrive(target, int(most)) if target is not None and most.isdecimal() else None


class AttributeValue(NamedTuple):
    """A message attribute: its whole DataType, and the text as UTF-8 or the bytes."""

    type: str
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A message to be sent; all of it is validated. `delay_s`: None is the queue's, as it always is on FIFO."""

    body: bytes = field(repr=False)
    sender_id: str
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    trace_header: str | None = None
    delay_s: int | None = None
    group_id: str | None = None
    deduplication_id: str | None = None
    """None on FIFO: of the content."""

    @property
    def size_bytes(self) -> int:
        """As limits count it: names and types of attributes too."""
        size = len(self.body)
        for name, value in self.attributes.items():
            size += len(name.encode()) + len(value.type.encode()) + len(value.value)
        return size


class Sent(NamedTuple):
    message_id: str
    sequence_number: str | None
    """On FIFO."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A message as one receive gives it."""

    message_id: str
    handle: str
    body: bytes = field(repr=False)
    attributes: Mapping[str, AttributeValue]
    sender_id: str
    sent_ms: int
    receive_count: int
    first_received_ms: int
    trace_header: str | None
    group_id: str | None
    deduplication_id: str | None
    sequence_number: str | None
    source_arn: str | None
    """DeadLetterQueueSourceArn."""


class Counts(NamedTuple):
    visible: int
    in_flight: int
    delayed: int


class Refusal(Enum):
    """Why a receipt handle had no effect. A deletion of what is gone already is none."""

    INVALID = "invalid"
    """It is garbage, or of another queue."""
    EXPIRED = "expired"
    """FIFO: its visibility is over, or the message was received again."""
    GONE = "gone"
    """A change of visibility: the message is not there any more."""
    TOO_LONG = "too long"
    """A change of visibility: beyond 12 hours since the receive."""


class Status(StrEnum):
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    CANCELLING = "CANCELLING"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveTask:
    """A move of messages out of a dead-letter queue. `destination` None: each message to the queue it came from."""

    id: str
    source: QueueKey
    destination: QueueKey | None
    rate: int | None
    """Messages a second."""
    status: Status
    moved: int
    to_move: int
    started_ms: int
    failure: str | None = None


class QueueMissing(Exception):
    """It does not exist, or not any more."""


class NameTaken(Exception):
    """A queue of that name exists."""


class DeletedRecently(Exception):
    """A queue of that name was deleted less than 60 s ago."""


class PurgeInProgress(Exception):
    """The last purge is less than 60 s ago."""


class OverLimit(Exception):
    """So many messages are in flight that a standard queue gives no more; a short poll hears of it."""


class Throttled(Exception):
    """More calls in a second than a FIFO queue takes."""


class AttemptOver(Exception):
    """The messages of that receive attempt were deleted or changed meanwhile."""


class AlreadyMoving(Exception):
    """A task moves messages out of that queue."""


class TaskMissing(Exception):
    """No task of that id runs out of that queue."""
