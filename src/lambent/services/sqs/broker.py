"""The broker: queues, and messages that are sent, received, deleted, moved and forgotten.

Everything below the operations: durable, ordered, timed. It knows no policy, no text of an error and no wire format;
what it is given is validated. Every method raises QueueMissing for a queue that was deleted meanwhile, and
PlatformFault where the store cannot write.
"""

from collections.abc import Mapping, Sequence

from lambent.core.clock import Clock
from lambent.services.sqs.ports import Metrics, NoMetrics
from lambent.services.sqs.records import (
    Counts,
    MoveTask,
    Outgoing,
    QueueKey,
    QueueRecord,
    Received,
    Refusal,
    Sent,
)
from lambent.store.database import Database


class Broker:
    """`start` begins the loops (retention, sweeping, move tasks), `close` ends them before the database closes."""

    def __init__(self, database: Database, clock: Clock, *, metrics: Metrics | None = None) -> None:
        self._database = database
        self._clock = clock
        self._metrics = metrics or NoMetrics()

    # Queues

    def get(self, key: QueueKey) -> QueueRecord | None:
        """From memory."""
        raise NotImplementedError

    def list(self, account: str, region: str) -> Sequence[QueueRecord]:
        """By name, from memory."""
        raise NotImplementedError

    def sources_of(self, target: QueueKey) -> Sequence[QueueRecord]:
        """Queues whose RedrivePolicy names it, by name."""
        raise NotImplementedError

    async def create(
        self, key: QueueKey, *, fifo: bool, attributes: Mapping[str, str], tags: Mapping[str, str]
    ) -> QueueRecord:
        """Raises NameTaken (look at `get` then), DeletedRecently."""
        raise NotImplementedError

    async def set_attributes(self, key: QueueKey, attributes: Mapping[str, str | None]) -> QueueRecord:
        """Merge; None takes one away."""
        raise NotImplementedError

    async def set_tags(self, key: QueueKey, tags: Mapping[str, str | None]) -> QueueRecord:
        """Merge; None takes one away."""
        raise NotImplementedError

    async def delete_queue(self, key: QueueKey) -> None:
        """Its messages are gone too. Receives that wait raise QueueMissing."""
        raise NotImplementedError

    async def purge(self, key: QueueKey) -> None:
        """Raises PurgeInProgress."""
        raise NotImplementedError

    async def counts(self, key: QueueKey) -> Counts:
        raise NotImplementedError

    # Messages

    async def send(self, key: QueueKey, messages: Sequence[Outgoing]) -> Sequence[Sent]:
        """After the commit, all or none. A duplicate on FIFO answers with the first one's ids."""
        raise NotImplementedError

    async def receive(
        self,
        key: QueueKey,
        *,
        limit: int = 1,
        visibility_s: int | None = None,
        wait_s: int | None = None,
        attempt_id: str | None = None,
    ) -> Sequence[Received]:
        """Up to `limit` messages as soon as there is one, or none after `wait_s`. None: as the queue says.

        Raises OverLimit, AttemptOver. Cancelled, it leaves nothing in flight.
        """
        raise NotImplementedError

    async def delete(self, key: QueueKey, handles: Sequence[str]) -> Sequence[Refusal | None]:
        """One answer for each handle, after the commit."""
        raise NotImplementedError

    async def change_visibility(self, key: QueueKey, changes: Sequence[tuple[str, int]]) -> Sequence[Refusal | None]:
        """Pairs of handle and seconds from now; 0 makes the message visible."""
        raise NotImplementedError

    # Move tasks

    async def start_move(
        self, source: QueueKey, *, destination: QueueKey | None = None, rate: int | None = None
    ) -> MoveTask:
        """Raises AlreadyMoving. That the source is a dead-letter queue is the caller's to check."""
        raise NotImplementedError

    async def cancel_move(self, source: QueueKey, task_id: str) -> MoveTask:
        """Raises TaskMissing when it does not run."""
        raise NotImplementedError

    def moves(self, source: QueueKey) -> Sequence[MoveTask]:
        """The newest first."""
        raise NotImplementedError

    # Life

    def start(self) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError

    async def reset(self) -> None:
        """All queues and messages are gone."""
        raise NotImplementedError
