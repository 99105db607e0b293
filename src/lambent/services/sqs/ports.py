"""What the broker needs of others."""

from typing import Protocol

from lambent.services.sqs.records import QueueKey


class Metrics(Protocol):
    """AWS/SQS, by queue."""

    def count(self, queue: QueueKey, metric: str, value: float = 1) -> None: ...


class NoMetrics:
    def count(self, queue: QueueKey, metric: str, value: float = 1) -> None:
        pass
