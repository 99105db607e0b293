"""SQS as a whole: a broker, and the operations in front of it. Start reading here.

Both are loaded at the first call, or at the start of a server that has queues: most servers have none.
"""

from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, text

from lambent.aws.keys import KeyRing
from lambent.aws.service import CallContext, Handler, Operations, Parameters, Result
from lambent.core.clock import Clock
from lambent.core.statistics import Point, Statistics
from lambent.store.database import Database

if TYPE_CHECKING:
    from lambent.services.sqs.broker import Broker

OPERATIONS: Final = (
    *("AddPermission", "CancelMessageMoveTask", "ChangeMessageVisibility", "ChangeMessageVisibilityBatch"),
    *("CreateQueue", "DeleteMessage", "DeleteMessageBatch", "DeleteQueue", "GetQueueAttributes", "GetQueueUrl"),
    *("ListDeadLetterSourceQueues", "ListMessageMoveTasks", "ListQueueTags", "ListQueues", "PurgeQueue"),
    *("ReceiveMessage", "RemovePermission", "SendMessage", "SendMessageBatch", "SetQueueAttributes"),
    *("StartMessageMoveTask", "TagQueue", "UntagQueue"),
)


# As text: the tables are loaded with the broker.
_QUEUES: Final = text("SELECT id FROM sqs_queues UNION ALL SELECT id FROM sqs_gone LIMIT 1")


def _has_queues(connection: Connection) -> bool:
    return connection.execute(_QUEUES).first() is not None


class SqsService:
    """Made on the event loop that uses it; the caller owns the database."""

    def __init__(self, database: Database, clock: Clock, keys: KeyRing, *, fifo_calls_per_s: int = 0) -> None:
        """`clock`: by which messages are delayed, hidden and forgotten. `fifo_calls_per_s`: see `Broker`."""
        self._database = database
        self._clock = clock
        self._keys = keys
        self._fifo_calls_per_s = fifo_calls_per_s
        self._made: tuple[Broker, Operations] | None = None

    def operations(self) -> Operations:
        return {name: self._handler(name) for name in OPERATIONS}

    @property
    def broker(self) -> "Broker":
        return self._loaded()[0]

    def totals(self) -> Mapping[str, Statistics]:
        """Of AWS/SQS, over all queues, up to the last minute."""
        return {} if self._made is None else self._made[0].metrics.totals()

    async def metrics_of(self, account: str, region: str, name: str) -> list[tuple[str, str, list[Point]]] | None:
        """Name, unit and minutes of each metric of a queue, up to now; None: there is no such queue."""
        if self._made is None:
            return None
        from lambent.services.sqs.metrics import UNITS
        from lambent.services.sqs.records import QueueKey

        broker, key = self._made[0], QueueKey(account, region, name)
        if broker.get(key) is None:
            return None
        await broker.measure(key)
        metrics = broker.metrics
        return [(each, UNITS[each], metrics.series(key, each)) for each in sorted(metrics.names(key))]

    def start(self) -> None:
        """Where there are queues, their messages grow old and their tasks go on."""
        if self._database.read_now(_has_queues):
            self._loaded()

    def end_waiting(self) -> None:
        """Long polls return, so that a server that ends need not wait for them."""
        if self._made is not None:
            self._made[0].end_waiting()

    async def close(self) -> None:
        """End the loops. Before the database closes; safe to call twice."""
        if self._made is not None:
            await self._made[0].close()

    async def reset(self) -> None:
        """Drop all queues and messages."""
        if self._made is not None or self._database.read_now(_has_queues):
            await self.broker.reset()

    def _handler(self, name: str) -> Handler:
        def handler(context: CallContext, parameters: Parameters) -> Awaitable[Result]:
            return self._loaded()[1][name](context, parameters)

        return handler

    def _loaded(self) -> "tuple[Broker, Operations]":
        if self._made is None:
            from lambent.services.sqs.api.table import operations
            from lambent.services.sqs.broker import Broker

            broker = Broker(self._database, self._clock, fifo_calls_per_s=self._fifo_calls_per_s)
            broker.start()
            self._made = broker, operations(broker, self._keys)
        return self._made
