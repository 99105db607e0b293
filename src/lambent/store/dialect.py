"""What a kind of database has to say about itself; everything else speaks portable SQL."""

from typing import Protocol

from sqlalchemy import Connection, Engine

from lambent.store.datadir import DataDirError


class DatabaseLost(DataDirError):
    """Another server has taken the database, or it went back in time: what this one knows of it is not true."""


class Dialect(Protocol):
    """`sqlite.SQLite` and `postgres.PostgreSQL`."""

    @property
    def shown(self) -> str:
        """Where the database is, without what is secret."""

    @property
    def look_s(self) -> float | None:
        """How often an idle writer looks whether its connection is still there; None: it cannot go away."""

    @property
    def rolls_back(self) -> bool:
        """Whether a connection is as new after the ROLLBACK of a failure; else another one is opened."""

    def writer(self) -> Engine:
        """One connection at a time. Each of its transactions begins so that `committed` can tell its end."""

    def reader(self) -> Engine:
        """Connections that cannot write, whose transactions see one moment."""

    def begin(self, connection: Connection) -> None:
        """The first connection of the writer: bring the schema up to date. `DataDirError` is for the user."""

    def resume(self, connection: Connection) -> None:
        """A further connection of the writer, after one was lost. `DataDirError` when it must not write any more."""

    def check(self, connection: Connection) -> None:
        """Before a COMMIT: raise SQLAlchemyError where it would be a ROLLBACK that tells nobody."""

    def alive(self, connection: Connection) -> bool:
        """Whether an idle connection is still there."""

    def answered(self) -> None:
        """The last COMMIT was: those who waited for it are told."""

    def committed(self, connection: Connection) -> bool:
        """After `resume`: whether the last transaction was committed whose COMMIT was not answered."""
