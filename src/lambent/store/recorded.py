"""The durable queue of an owner who keeps order and visibility in memory, and has them recorded here.

The same rows and the same group commit as `Queue`, whose takes are decided by the database; here a take is decided
before anybody asks the database, so it costs no round trip. What is put, deleted or moved is on disk when its future
ends. A take is written with the next commit, or within `LAZY_S`: a crash before that makes its message visible early.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    Connection,
    Executable,
    and_,
    bindparam,
    cast,
    delete,
    func,
    insert,
    select,
    update,
)

from lambent.store.database import Database
from lambent.store.grouped import GroupCommit
from lambent.store.messages import IS_RECORDED, messages

LAZY_S: Final = 0.05
MAX_IN: Final = 500

Stored = Callable[[Sequence[int]], None]
"""Told the numbers of what was put, in the order of the commits, before those who await the future go on."""
Also = tuple[Executable, dict[str, Any]]
"""A statement of the caller's own tables, in the same commit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRecord:
    lane: str
    visible_ms: int
    sent_ms: int
    group_id: str | None
    state: str
    body: bytes = field(repr=False)


class Visibility(NamedTuple):
    """What is recorded of a message that was taken or given back."""

    id: int
    visible_ms: int
    takes: int
    first_ms: int | None


class Move(NamedTuple):
    """A message that goes to another lane, at its end."""

    id: int
    lane: str
    visible_ms: int
    sent_ms: int
    state: str


class Record(NamedTuple):
    """A row; `body` is None where it was not asked for."""

    id: int
    visible_ms: int
    takes: int
    first_ms: int | None
    sent_ms: int
    group_id: str | None
    state: str
    size: int
    body: bytes | None


class Extent(NamedTuple):
    """What a lane has."""

    messages: int
    newest: int


class RecordedQueue:
    """One queue of that name in the database; one owner."""

    def __init__(self, database: Database, name: str) -> None:
        self.name = name
        self._database = database
        self._commits = GroupCommit(database, name, self._made)
        self._lazy: dict[int, Visibility] = {}
        self._timer: asyncio.TimerHandle | None = None

    def next_commit(self) -> asyncio.Future[None]:
        """That of what is asked for now. It is of many: shield it."""
        return self._commits.group().done

    def put(self, new: Sequence[NewRecord], stored: Stored, also: Sequence[Also] = ()) -> asyncio.Future[None]:
        """The future is that of many: shield it. It fails with PlatformFault when nothing was put."""
        group = self._commits.group()
        group.put.append((new, stored))
        group.also.extend(also)
        return group.done

    def drop(self, ids: Iterable[int], also: Sequence[Also] = ()) -> asyncio.Future[None]:
        group = self._commits.group()
        group.drop.update(ids)
        group.also.extend(also)
        return group.done

    def move(self, moves: Sequence[Move], stored: Stored) -> asyncio.Future[None]:
        """`stored` is told the new numbers: a message that goes elsewhere goes to the end there."""
        group = self._commits.group()
        group.move.append((moves, stored))
        return group.done

    def record(self, visibility: Iterable[Visibility]) -> asyncio.Future[None]:
        self._lazy.update((each.id, each) for each in visibility)
        return self._commits.group().done

    def record_soon(self, visibility: Iterable[Visibility]) -> None:
        """With whatever is committed next. A message that is deleted in time costs no write for having been taken."""
        self._lazy.update((each.id, each) for each in visibility)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LAZY_S, self._flush)

    async def flush(self) -> None:
        if self._lazy:
            await asyncio.shield(self._commits.group().done)

    async def extent(self, lane: str, above: int) -> Extent:
        here = _in(self.name, lane, above)
        query = select(func.count(), func.coalesce(func.max(messages.c.id), above)).where(here)
        return Extent(*(await self._database.read(lambda connection: connection.execute(query).one())))

    async def hidden(self, lane: str, above: int, now_ms: int) -> tuple[int, int]:
        """How many above that number are taken, and how many are delayed."""
        query = select(func.count(), func.coalesce(func.sum(_TAKEN), 0)).where(
            _in(self.name, lane, above), messages.c.visible_ms > now_ms
        )
        every, taken = await self._database.read(lambda connection: connection.execute(query).one())
        return int(taken), int(every) - int(taken)

    async def page(self, lane: str, above: int, limit: int, max_bytes: int) -> list[Record]:
        """The next rows above that number, with the bodies of the first ones, `max_bytes` at most together."""

        def work(connection: Connection) -> list[Record]:
            rows = connection.execute(
                select(*_COLUMNS).where(_in(self.name, lane, above)).order_by(messages.c.id).limit(limit)
            ).all()
            found = _bodies(connection, _first(rows, max_bytes))
            return [_record(row, found.get(row.id)) for row in rows]

        return await self._database.read(work)

    async def bodies(self, lane: str, ids: Sequence[int], ahead: int, max_bytes: int) -> dict[int, bytes]:
        """Those of `ids`, and of so many rows behind them, which are likely to be asked for next.

        The latter have `max_bytes` at most together.
        """
        sizes = (
            select(messages.c.id, messages.c.size)
            .where(_in(self.name, lane, max(ids)))
            .order_by(messages.c.id)
            .limit(ahead)
        )

        def work(connection: Connection) -> dict[int, bytes]:
            return _bodies(connection, [*ids, *_first(connection.execute(sizes).all(), max_bytes)])

        return await self._database.read(work)

    async def oldest(self, lane: str, above: int, most: int | None) -> int | None:
        """When the first message above that number was sent; of those that were taken less than `most` times."""
        here = _in(self.name, lane, above)
        if most is not None:
            here = and_(here, messages.c.takes < most)
        query = select(messages.c.sent_ms).where(here).order_by(messages.c.id).limit(1)
        return await self._database.read(lambda connection: connection.execute(query).scalar())

    async def expired(self, lane: str, above: int, sent_ms: int, limit: int) -> list[int]:
        """Numbers of messages sent at that time or before."""
        query = select(messages.c.id).where(_in(self.name, lane, above), messages.c.sent_ms <= sent_ms).limit(limit)
        return list(await self._database.read(lambda connection: connection.execute(query).scalars().all()))

    async def redelay(self, lane: str, delay_ms: int) -> None:
        """What was never taken is delayed so long from when it was sent."""
        never = and_(_in(self.name, lane, 0), messages.c.takes == 0)
        change = update(messages).where(never).values(visible_ms=messages.c.sent_ms + delay_ms)
        await self._database.write(lambda connection: connection.execute(change) and None)

    async def sweep(self, lane: str, up_to: int | None, *, part: int = 1000) -> None:
        """Delete the messages of a lane, a part at a time: the database has one writer."""
        here = _in(self.name, lane, 0)
        if up_to is not None:
            here = and_(here, messages.c.id <= up_to)
        some = select(messages.c.id).where(here).limit(part).scalar_subquery()
        drop = delete(messages).where(messages.c.id.in_(some))
        while await self._database.write(lambda connection: int(connection.execute(drop).rowcount)) == part:
            pass

    def _made(self) -> "_Group":
        return _Group(self)

    def lazy(self) -> dict[int, Visibility]:
        """What waits to be recorded goes with this group."""
        taken, self._lazy = self._lazy, {}
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return taken

    def _flush(self) -> None:
        self._timer = None
        if self._lazy:
            self._commits.group()


class _Group:
    """What waits for the same commit."""

    __slots__ = ("_from", "_numbers", "also", "done", "drop", "move", "put", "visibility")
    done: asyncio.Task[None]

    def __init__(self, of: RecordedQueue) -> None:
        self._from = of
        self._numbers: list[Sequence[int]] = []
        self.put: list[tuple[Sequence[NewRecord], Stored]] = []
        self.visibility: dict[int, Visibility] = {}
        self.drop: set[int] = set()
        self.move: list[tuple[Sequence[Move], Stored]] = []
        self.also: list[Also] = []

    def sealed(self) -> None:
        """No more is asked of it: what waits is written along."""
        self.visibility = self._from.lazy()

    def ended(self, done: asyncio.Future[None]) -> None:
        if done.cancelled() or done.exception() is not None:
            return
        for numbers, (_, stored) in zip(self._numbers, (*self.put, *self.move), strict=True):
            stored(numbers)

    def write(self, connection: Connection) -> None:
        self._numbers = []
        if self.put:
            rows = [_row(self._from.name, new) for some, _ in self.put for new in some]
            numbers = list(connection.execute(_PUT, rows).scalars())
            at = 0
            for some, _ in self.put:
                self._numbers.append(numbers[at : at + len(some)])
                at += len(some)
        changed = [
            {"m_id": id, "m_visible_ms": visible_ms, "m_takes": takes, "m_first_ms": first_ms}
            for id, visible_ms, takes, first_ms in self.visibility.values()
            if id not in self.drop
        ]
        if changed:
            connection.execute(_RECORD, changed)
        for moves, _ in self.move:
            self._numbers.append([_moved(connection, move) for move in moves])
        if self.drop:
            connection.execute(_DROP, [{"m_id": id} for id in self.drop])
        together: dict[Executable, list[dict[str, Any]]] = {}
        for statement, values in self.also:
            together.setdefault(statement, []).append(values)
        for statement, every in together.items():
            connection.execute(statement, every)


def _in(queue: str, lane: str, above: int) -> Any:
    return and_(messages.c.queue == queue, messages.c.lane == lane, messages.c.id > above, IS_RECORDED)


def _row(queue: str, new: NewRecord) -> dict[str, Any]:
    return {
        "queue": queue,
        "lane": new.lane,
        "visible_ms": new.visible_ms,
        "takes": 0,
        "state": new.state,
        "body": new.body,
        "size": len(new.body),
        "group_id": new.group_id,
        "sent_ms": new.sent_ms,
    }


def _record(row: Any, body: bytes | None) -> Record:
    return Record(row.id, row.visible_ms, row.takes, row.first_ms, row.sent_ms, row.group_id, row.state, row.size, body)


def _first(rows: Sequence[Any], max_bytes: int) -> list[int]:
    """Numbers of the first rows, whose bodies have so many bytes at most together."""
    wanted = []
    for row in rows:
        max_bytes -= row.size
        if max_bytes < 0:
            break
        wanted.append(row.id)
    return wanted


def _bodies(connection: Connection, ids: Sequence[int]) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    for at in range(0, len(ids), MAX_IN):
        chosen = messages.c.id.in_(ids[at : at + MAX_IN])
        rows = connection.execute(select(messages.c.id, messages.c.body).where(chosen))
        found |= {row.id: row.body for row in rows}
    return found


def _moved(connection: Connection, move: Move) -> int:
    """A new row and not the old one changed: numbers are the order, and it comes last. 0: it is gone."""
    values = {"m_id": move.id, "m_lane": move.lane, "m_visible_ms": move.visible_ms}
    row = connection.execute(_MOVE, {**values, "m_sent_ms": move.sent_ms, "m_state": move.state}).one_or_none()
    connection.execute(_DROP, {"m_id": move.id})
    return 0 if row is None else int(row.id)


_COLUMNS = (
    messages.c.id,
    messages.c.visible_ms,
    messages.c.takes,
    messages.c.first_ms,
    messages.c.sent_ms,
    messages.c.group_id,
    messages.c.state,
    messages.c.size,
)
_TAKEN = (messages.c.takes > 0).cast(messages.c.takes.type)
_IS = messages.c.id == bindparam("m_id")
_PUT = insert(messages).returning(messages.c.id, sort_by_parameter_order=True)
_DROP = delete(messages).where(_IS)
_RECORD = (
    update(messages)
    .where(_IS)
    .values(visible_ms=bindparam("m_visible_ms"), takes=bindparam("m_takes"), first_ms=bindparam("m_first_ms"))
)
_KEPT = ("queue", "takes", "body", "size", "group_id", "first_ms")
_NEW = ("lane", "visible_ms", "sent_ms", "state")
_MOVE = (
    insert(messages)
    .from_select(
        [*_KEPT, *_NEW],
        select(
            *(messages.c[name] for name in _KEPT),
            *(cast(bindparam(f"m_{name}"), messages.c[name].type) for name in _NEW),
        ).where(_IS),
    )
    .returning(messages.c.id)
)
