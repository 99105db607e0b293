"""Which database belongs to a data directory: its own file or one of PostgreSQL, never first one, then the other.

Code and keys stay in the data directory, and what no function names is swept from it. So a server that was started on
another database by mistake would take the code of all functions away: it does not start.
"""

from lambent.store.database import Database
from lambent.store.datadir import DataDir, DataDirError


def open_database(data_dir: DataDir, url: str | None) -> Database:
    """The database at `url`, or SQLite in `data_dir`. Raises DataDirError."""
    if url is None:
        if data_dir.elsewhere is not None:
            raise DataDirError(
                f"The state of {data_dir.root} is in {data_dir.elsewhere}: start with --database, or choose another"
                " --data-dir."
            )
        return Database.open(data_dir.database)
    if data_dir.database.exists():
        raise DataDirError(
            f"{data_dir.root} holds the state of a server without --database, which is not moved over. Choose another"
            " --data-dir."
        )
    database = Database.open_url(url, home=data_dir.secret("home").decode(), place=str(data_dir.root))
    data_dir.belongs_to(database.shown)
    return database
