"""What S3 needs of others: somebody who is told of changes, in the transaction that makes them."""

from typing import Protocol

from sqlalchemy import Connection

from lambent.services.s3.records import Bucket, ObjectChange


class Outbox(Protocol):
    """Where notifications wait until they are delivered."""

    def changed(self, connection: Connection, bucket: Bucket, change: ObjectChange) -> None:
        """Write what is to be told of `change` with the change itself. On the writer's thread; may be called again
        for a transaction that is done again."""
        ...

    def committed(self) -> None:
        """On the event loop, after a commit with changes: there may be something to deliver."""
        ...


class NoOutbox:
    """Tells nobody."""

    def changed(self, connection: Connection, bucket: Bucket, change: ObjectChange) -> None:
        pass

    def committed(self) -> None:
        pass
