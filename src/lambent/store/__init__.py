"""State on disk: the data directory, the database with its one writer, content-addressed blobs, and migrations.

Knows no table of anybody. A part that keeps rows owns them like this (there is no other way):

1. In its own `store.py` it declares `metadata = MetaData()` and its `Table` objects with SQLAlchemy Core, and the
   functions that read and write them: `def put_x(connection: Connection, ...) -> ...`. Portable SQL only; the same
   code runs on SQLite and on PostgreSQL, and so do its tests (`place`). Ids that are counted up and text that is sorted
   have the types of `columns`; a result that is not read to its end is closed. Table names carry the part's name:
   `function_versions`, `log_streams`. Column types: `String`, `Text`, `BigInteger`, `Integer`, `LargeBinary`, `JSON`; a
   time is `BigInteger` milliseconds since 1970.
2. It adds one migration file, `store/migrations/versions/NNNN_part.py`, with the next free number, `revision = "NNNN"`
   and `down_revision` = the number before it. The history is one straight line; a released file never changes.
   Then it runs `python -m lambent.store.migrations.snapshot`, which writes `schema.sql` for new data directories.
   `tests/unit/store/test_migrations.py` lists every `MetaData` and fails where migrations and tables disagree.
3. It writes with `await database.write(work)` and reads, at start-up and on slow paths, with
   `await database.read(work)`; `work(connection)` is a plain function that runs on another thread. It may be run
   again after a failure of the store, so it touches nothing but the connection and returns what it learned;
   `applied` is called on the event loop after the commit, in the order of commits, even if the caller has gone:
   that is where an in-memory read model is updated.

Nothing here imports Alembic unless the schema has to change. `datadir` imports no SQLAlchemy: the command may use it.
"""
