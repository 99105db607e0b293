"""All rows of S3 together."""

from sqlalchemy import Connection, delete, select

from lambent.services.s3.tables import metadata, parts, versions


def remove(connection: Connection) -> list[str]:
    """Returns the files that they named."""
    files: list[str] = []
    for column in (versions.c.file, parts.c.file):
        files += connection.execute(select(column).where(column.is_not(None))).scalars()
    for table in metadata.sorted_tables:
        connection.execute(delete(table))
    return files
