"""Documents of buckets in the database."""

import json
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from lambent.services.s3.configs.kinds import Kind
from lambent.services.s3.tables import configs

Place = tuple[int, str, str]
"""Number of the bucket, kind, id."""


def load(connection: Connection) -> dict[Place, Any]:
    rows = connection.execute(select(configs))
    return {(row.bucket_id, row.kind, row.id): json.loads(row.document) for row in rows}


def put(connection: Connection, place: Place, text: str) -> None:
    remove(connection, place)
    bucket_id, kind, id = place
    connection.execute(insert(configs).values(bucket_id=bucket_id, kind=kind, id=id, document=text))


def remove(connection: Connection, place: Place) -> None:
    bucket_id, kind, id = place
    here = configs.c.bucket_id == bucket_id, configs.c.kind == kind, configs.c.id == id
    connection.execute(delete(configs).where(*here))


def copy(connection: Connection, bucket_id: int, documents: dict[Kind, Any]) -> None:
    """What a new bucket begins with."""
    for kind, document in documents.items():
        put(connection, (bucket_id, kind, ""), json.dumps(document))


def remove_all(connection: Connection, bucket_id: int | None = None) -> None:
    """Of one bucket, or of all."""
    everything = delete(configs)
    connection.execute(everything if bucket_id is None else everything.where(configs.c.bucket_id == bucket_id))
