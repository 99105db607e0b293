"""Rows of move tasks."""

from typing import Any, Final

from sqlalchemy import Connection, bindparam, insert, select, update

from lambent.services.sqs.records import MoveTask, QueueKey, Status
from lambent.services.sqs.tables import moves
from lambent.store.recorded import Also


def all_moves(connection: Connection) -> list[MoveTask]:
    return [_task(row) for row in connection.execute(select(moves).order_by(moves.c.started_ms, moves.c.id))]


def insert_move(connection: Connection, task: MoveTask) -> None:
    row = {
        "id": task.id,
        "source_arn": task.source.arn,
        "destination_arn": None if task.destination is None else task.destination.arn,
        "rate": task.rate,
        "to_move": task.to_move,
        "started_ms": task.started_ms,
    }
    connection.execute(insert(moves).values({**row, **_standing(task)}))


def progress(task: MoveTask) -> Also:
    return _PROGRESS, {"m_id": task.id, **{f"m_{name}": value for name, value in _standing(task).items()}}


def _standing(task: MoveTask) -> dict[str, Any]:
    return {"status": task.status.value, "moved": task.moved, "failure": task.failure}


def _task(row: Any) -> MoveTask:
    source = QueueKey.of_arn(row.source_arn)
    assert source is not None
    return MoveTask(
        id=row.id,
        source=source,
        destination=None if row.destination_arn is None else QueueKey.of_arn(row.destination_arn),
        rate=row.rate,
        status=Status(row.status),
        moved=row.moved,
        to_move=row.to_move,
        started_ms=row.started_ms,
        failure=row.failure,
    )


_PROGRESS: Final = (
    update(moves)
    .where(moves.c.id == bindparam("m_id"))
    .values({name: bindparam(f"m_{name}") for name in ("status", "moved", "failure")})
)
