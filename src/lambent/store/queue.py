"""The durable queue: messages in lanes, taken for a time, deleted when they are done.

Owns order (within a lane, by the time from which a message may be taken), visibility and what a crash leaves. Whatever
is put, deleted and delayed while a commit is on its way forms the next one. It knows neither what a message means nor
when to try again: that is decided by the one who takes it.

A taken message that is neither deleted, delayed nor extended in time can be taken again. At least once, never less.
"""

import asyncio
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from lambent.core.ids import uuid4
from lambent.store.database import Database
from lambent.store.grouped import GroupCommit
from lambent.store.messages import Holding, Lane, Listed, Message, NewMessage, Standing, Taken, messages

MAX_IN: Final = 500
"""Ids in one statement."""
PURGED_AT_ONCE: Final = 1000
"""Some 30 ms."""


class Queue:
    """One queue of that name in the database. `owner` names this server's run; what another run took is recovered."""

    def __init__(self, database: Database, name: str, owner: str | None = None) -> None:
        self.name = name
        self._database = database
        self._owner = owner or uuid4()
        self._commits = GroupCommit(database, name, partial(_Group, self._owner))

    async def put(self, *new: NewMessage) -> None:
        """Return once the messages are on disk. Raises PlatformFault when they are not."""
        await asyncio.shield(self.putting(*new))

    def putting(self, *new: NewMessage) -> asyncio.Future[None]:
        """`put` for callbacks. The future is that of many: never cancel it."""
        group = self._commits.group()
        group.put.extend(new)
        return group.done

    def put_taken(self, new: NewMessage, until_ms: int) -> asyncio.Future[Message]:
        """Put a message and take it in the same commit, hidden from others until `until_ms`.

        Whoever awaits the future and may be cancelled shields it: its callbacks are the only ones who hear of the
        message. It fails with PlatformFault when nothing was put.
        """
        taken: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._commits.group().put_taken.append((new, until_ms, taken))
        return taken

    async def delete(self, message: Message, *new: NewMessage) -> None:
        """The message is done; `new` ones, of any queue, take its place in the same commit."""
        await asyncio.shield(self.deletion(message, *new))

    async def delay(self, message: Message, until_ms: int, state: str | None = None) -> None:
        """Give the message back, to be taken at `until_ms` or later."""
        await asyncio.shield(self.delaying(message, until_ms, state))

    def deletion(self, message: Message, *new: NewMessage) -> asyncio.Future[None]:
        """`delete` for callbacks. The future is that of many: never cancel it."""
        group = self._commits.group()
        group.delete.append(message)
        group.put.extend(new)
        return group.done

    def delaying(self, message: Message, until_ms: int, state: str | None = None) -> asyncio.Future[None]:
        """`delay` for callbacks. The future is that of many: never cancel it."""
        group = self._commits.group()
        group.delay.append((message if state is None else replace(message, state=state), until_ms))
        return group.done

    async def take(
        self, lane: str, *, now_ms: int, until_ms: int, limit: int, max_bytes: int, held: Container[int] = ()
    ) -> Taken:
        """Up to `limit` messages of the lane that may be taken now, hidden from others until `until_ms`.

        Bodies have `max_bytes` at most together, but one message is always taken. `held`: ids of what the caller still
        has; when their time is over (the machine was asleep) they are hidden again, and not taken twice.
        """
        return await self._database.write(
            lambda connection: self._take(connection, lane, now_ms, until_ms, limit, max_bytes, held)
        )

    async def extend(self, ids: Iterable[int], until_ms: int) -> None:
        """Keep what this run has taken for longer."""
        every = list(ids)

        def work(connection: Connection) -> None:
            for some in _chunks(every):
                mine = and_(messages.c.id.in_(some), messages.c.taken_by == self._owner)
                connection.execute(update(messages).where(mine).values(visible_ms=until_ms))

        if every:
            await self._database.write(work)

    async def recover(self, now_ms: int) -> int:
        """At the start: what an earlier run had taken can be taken again. Returns how many that were."""

        def work(connection: Connection) -> int:
            lost = and_(messages.c.queue == self.name, messages.c.taken_by != self._owner)
            found = connection.execute(update(messages).where(lost).values(visible_ms=now_ms, taken_by=None))
            return int(found.rowcount)

        return await self._database.write(work)

    async def lanes(self) -> list[Lane]:
        """Every lane that has messages."""

        def work(connection: Connection) -> list[Lane]:
            rows = connection.execute(
                select(
                    messages.c.lane,
                    func.count(),
                    func.count(messages.c.taken_by),
                    func.min(messages.c.visible_ms),
                )
                .where(messages.c.queue == self.name)
                .group_by(messages.c.lane)
                .order_by(messages.c.lane)
            )
            return [Lane(*row) for row in rows]

        return await self._database.read(work)

    async def listed(self, lane: str, limit: int, *, newest_first: bool = False) -> list[Listed]:
        """The messages of a lane: those that are taken, then those that come first."""
        taken_first = messages.c.taken_by.is_(None)
        at, number = messages.c.visible_ms, messages.c.id
        order = (at.desc(), number.desc()) if newest_first else (taken_first, at, number)

        def work(connection: Connection) -> list[Listed]:
            rows = connection.execute(
                select(messages.c.id, messages.c.visible_ms, messages.c.taken_by, messages.c.state, _SIZE)
                .where(messages.c.queue == self.name, messages.c.lane == lane)
                .order_by(*order)
                .limit(limit)
            )
            return [
                Listed(
                    id=row.id,
                    lane=lane,
                    visible_ms=row.visible_ms,
                    taken=row.taken_by is not None,
                    state=row.state,
                    size_bytes=row.size,
                )
                for row in rows
            ]

        return await self._database.read(work)

    async def standing(self, now_ms: int, begins: str) -> dict[str, Standing]:
        """How many messages each lane has whose name begins so."""
        later = and_(messages.c.taken_by.is_(None), messages.c.visible_ms > now_ms)
        counted = select(
            messages.c.lane,
            func.count(),
            func.sum(case((later, 1), else_=0)),
            func.count(messages.c.taken_by),
        )
        here = and_(messages.c.queue == self.name, messages.c.lane.startswith(begins, autoescape=True))
        query = counted.where(here).group_by(messages.c.lane).order_by(messages.c.lane)
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return {row[0]: Standing(row[1], int(row[2]), row[3]) for row in rows}

    async def count(self, lane: str) -> int:
        here = select(func.count()).where(messages.c.queue == self.name, messages.c.lane == lane)
        return await self._database.read(lambda connection: int(connection.execute(here).scalar_one()))

    async def holdings(self, lane: str | None = None) -> dict[str, Holding]:
        """How much each lane has, or this one."""
        query = select(messages.c.lane, func.count(), func.sum(func.length(messages.c.body)))
        query = query.where(messages.c.queue == self.name).group_by(messages.c.lane)
        if lane is not None:
            query = query.where(messages.c.lane == lane)
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return {row[0]: Holding(row[1], int(row[2])) for row in rows}

    async def keep_newest(self, lane: str, count: int, max_bytes: int, since_ms: int) -> int:
        """Drop the oldest messages of a lane, beyond so many, so large, or so old. Returns how many that were."""
        here = and_(messages.c.queue == self.name, messages.c.lane == lane)

        def work(connection: Connection) -> int:
            rows = connection.execute(
                select(messages.c.id, messages.c.visible_ms, _SIZE)
                .where(here)
                .order_by(messages.c.visible_ms.desc(), messages.c.id.desc())
            ).all()
            recent = sum(row.visible_ms >= since_ms for row in rows[:count])
            kept = min(recent, _fitting([row.size for row in rows], max_bytes))
            gone = [row.id for row in rows[kept:]]
            for some in _chunks(gone):
                connection.execute(delete(messages).where(messages.c.id.in_(some)))
            return len(gone)

        return await self._database.write(work)

    async def move(self, lane: str, to: str, visible_ms: int, restate: Callable[[str], str | None]) -> int:
        """Messages of a lane into the same lane of another queue, those for which `restate` has a new state."""
        here = and_(messages.c.queue == self.name, messages.c.lane == lane)

        def work(connection: Connection) -> int:
            rows = connection.execute(select(messages.c.id, messages.c.state).where(here).order_by(messages.c.id))
            states = [(row.id, restate(row.state)) for row in rows]
            chosen = [{"m_id": number, "m_state": state} for number, state in states if state is not None]
            if chosen:
                values = {"queue": to, "visible_ms": visible_ms, "state": bindparam("m_state")}
                connection.execute(update(messages).where(messages.c.id == bindparam("m_id")).values(values), chosen)
            return len(chosen)

        return await self._database.write(work)

    async def purge(self, lane: str | None = None, *, part: int = PURGED_AT_ONCE) -> int:
        """Drop all messages of a lane, or of the whole queue, that are there now. Returns how many that were.

        A part at a time: the database has one writer, and others wait for it.
        """
        here = messages.c.queue == self.name
        if lane is not None:
            here = and_(here, messages.c.lane == lane)
        newest = select(func.max(messages.c.id)).where(here)
        last = await self._database.read(lambda connection: connection.execute(newest).scalar())
        some = select(messages.c.id).where(here, messages.c.id <= (last or 0)).limit(part)
        drop = delete(messages).where(messages.c.id.in_(some.scalar_subquery()))
        gone = 0
        while True:
            dropped = await self._database.write(lambda connection: int(connection.execute(drop).rowcount))
            gone += dropped
            if dropped < part:
                return gone

    def _take(
        self,
        connection: Connection,
        lane: str,
        now_ms: int,
        until_ms: int,
        limit: int,
        max_bytes: int,
        held: Container[int],
    ) -> Taken:
        here = and_(messages.c.queue == self.name, messages.c.lane == lane)
        columns = messages.c.id, messages.c.takes, messages.c.state, messages.c.size, messages.c.taken_by
        rows = connection.execute(
            select(*columns)
            .where(here, messages.c.visible_ms <= now_ms)
            .order_by(messages.c.visible_ms, messages.c.id)
            .limit(limit)
        ).all()
        again = [row.id for row in rows if row.taken_by == self._owner and row.id in held]
        for some in _chunks(again):
            connection.execute(update(messages).where(messages.c.id.in_(some)).values(visible_ms=until_ms))
        rows = [row for row in rows if row.id not in again]
        rows = rows[: _fitting([row.size for row in rows], max_bytes)]
        bodies: dict[int, bytes] = {}
        for some in _chunks([row.id for row in rows]):
            chosen = messages.c.id.in_(some)
            found = connection.execute(select(messages.c.id, messages.c.body).where(chosen))
            bodies |= {row.id: row.body for row in found}
            values = {"visible_ms": until_ms, "takes": messages.c.takes + 1, "taken_by": self._owner}
            connection.execute(update(messages).where(chosen).values(values))
        not_mine = or_(messages.c.taken_by.is_(None), messages.c.taken_by != self._owner)
        next_ms = connection.execute(
            select(messages.c.visible_ms).where(here, not_mine).order_by(messages.c.visible_ms).limit(1)
        ).scalar()
        return Taken(
            tuple(
                Message(id=row.id, lane=lane, takes=row.takes + 1, state=row.state, body=bodies[row.id]) for row in rows
            ),
            next_ms,
        )


class _Group:
    """What waits for the same commit."""

    __slots__ = ("_owner", "delay", "delete", "done", "numbers", "put", "put_taken")
    done: asyncio.Task[None]

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self.put: list[NewMessage] = []
        self.put_taken: list[tuple[NewMessage, int, asyncio.Future[Message]]] = []
        self.numbers: list[int] = []
        """Of `put_taken`, in their order."""
        self.delete: list[Message] = []
        self.delay: list[tuple[Message, int]] = []

    def sealed(self) -> None:
        pass

    def ended(self, done: asyncio.Future[None]) -> None:
        """Tell those who have taken what they put."""
        error = asyncio.CancelledError() if done.cancelled() else done.exception()
        for at, (new, _, taken) in enumerate(self.put_taken):
            if taken.done():
                continue
            if error is not None:
                taken.set_exception(error)
            else:
                taken.set_result(Message(id=self.numbers[at], lane=new.lane, takes=1, state=new.state, body=new.body))

    def write(self, connection: Connection) -> None:
        numbers: list[int] = []
        if self.put:
            connection.execute(insert(messages), [_row(new) for new in self.put])
        if self.put_taken:
            rows = [
                {**_row(new), "visible_ms": until_ms, "takes": 1, "taken_by": self._owner}
                for new, until_ms, _ in self.put_taken
            ]
            numbers.extend(connection.execute(_PUT_TAKEN, rows).scalars())
        if self.delete:
            connection.execute(_DELETE, [_receipt(message) for message in self.delete])
        if self.delay:
            connection.execute(
                _DELAY,
                [
                    {**_receipt(message), "m_visible_ms": until_ms, "m_state": message.state}
                    for message, until_ms in self.delay
                ],
            )
        self.numbers = numbers


def put_in(connection: Connection, new: Sequence[NewMessage]) -> None:
    """Put messages, of whatever queue, in a transaction of somebody else's."""
    if new:
        connection.execute(insert(messages), [_row(each) for each in new])


def _row(new: NewMessage) -> dict[str, Any]:
    return {
        "queue": new.queue,
        "lane": new.lane,
        "visible_ms": new.visible_ms,
        "takes": 0,
        "state": new.state,
        "body": new.body,
        "size": len(new.body),
    }


def _receipt(message: Message) -> dict[str, Any]:
    return {"m_id": message.id, "m_takes": message.takes}


def _fitting(sizes: Sequence[int], max_bytes: int) -> int:
    """How many of the first have `max_bytes` at most together; one at least."""
    total = 0
    for number, size in enumerate(sizes):
        total += size
        if total > max_bytes and number:
            return number
    return len(sizes)


def _chunks(ids: Sequence[int]) -> Iterable[Sequence[int]]:
    return (ids[at : at + MAX_IN] for at in range(0, len(ids), MAX_IN))


_SIZE = func.length(messages.c.body).label("size")
"""SQLite knows it without reading the body, which the column behind the body it does not."""
_IS = and_(messages.c.id == bindparam("m_id"), messages.c.takes == bindparam("m_takes"))
_PUT_TAKEN = insert(messages).returning(messages.c.id, sort_by_parameter_order=True)
_DELETE = delete(messages).where(_IS)
_DELAY = (
    update(messages).where(_IS).values(visible_ms=bindparam("m_visible_ms"), state=bindparam("m_state"), taken_by=None)
)
