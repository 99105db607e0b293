"""Move tasks: what a dead-letter queue has goes back where it came from, or elsewhere, as new messages.

One loop for each task that runs. Each batch leaves its queue, arrives, and is counted in one commit; so a crash neither
loses a message nor doubles one, and the next start goes on.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from lambent.aws.errors import PlatformFault
from lambent.core.clock import Clock
from lambent.core.ids import uuid4
from lambent.core.tasks import keep_running
from lambent.services.sqs.content import repack, unpack
from lambent.services.sqs.entry import Entry
from lambent.services.sqs.line import Line
from lambent.services.sqs.lines import Lines
from lambent.services.sqs.pause import pause
from lambent.services.sqs.records import AlreadyMoving, MoveTask, QueueKey, QueueMissing, Status, TaskMissing
from lambent.services.sqs.sending import new_entry
from lambent.services.sqs.store import moves as rows
from lambent.store.database import Database
from lambent.store.recorded import NewRecord, RecordedQueue

BATCH: Final = 10
HIDDEN_MS: Final = 30_000
KEPT: Final = 10
"""Ended tasks of one queue that are remembered."""
NO_QUEUE: Final = "AWS.SimpleQueueService.NonExistentQueue"
NO_SOURCE: Final = "CouldNotDetermineMessageSource"


class _Failed(Exception):
    """The text is the FailureReason."""


class Moving:
    def __init__(self, database: Database, queue: RecordedQueue, lines: Lines, clock: Clock) -> None:
        self._database = database
        self._queue = queue
        self._lines = lines
        self._clock = clock
        self._tasks = {task.id: task for task in database.read_now(rows.all_moves)}
        self._alarms: dict[str, asyncio.Event] = {}
        self._loops: dict[str, asyncio.Task[None]] = {}

    def of(self, source: QueueKey) -> Sequence[MoveTask]:
        """The newest first."""
        return [task for task in reversed(self._tasks.values()) if task.source == source][:KEPT]

    async def begin(self, source: QueueKey, destination: QueueKey | None, rate: int | None, to_move: int) -> MoveTask:
        """Raises AlreadyMoving."""
        if any(task.status in _ACTIVE for task in self.of(source)):
            raise AlreadyMoving
        task = MoveTask(
            id=uuid4(),
            source=source,
            destination=destination,
            rate=rate,
            status=Status.RUNNING,
            moved=0,
            to_move=to_move,
            started_ms=self._clock.epoch_ms(),
        )
        self._tasks[task.id] = task
        try:
            await self._database.write(partial(rows.insert_move, task=task))
        except BaseException:
            del self._tasks[task.id]
            raise
        self._go(task.id)
        return task

    async def cancel(self, source: QueueKey, task_id: str) -> MoveTask:
        """Raises TaskMissing."""
        task = self._tasks.get(task_id)
        if task is None or task.source != source or task.status is not Status.RUNNING:
            raise TaskMissing
        task = self._tasks[task_id] = replace(task, status=Status.CANCELLING)
        statement, values = rows.progress(task)
        await self._database.write(lambda connection: connection.execute(statement, values) and None)
        if task_id in self._alarms:
            self._alarms[task_id].set()
        return task

    def start(self) -> None:
        """Go on with what was running."""
        for task in self._tasks.values():
            if task.status in _ACTIVE:
                self._go(task.id)

    async def close(self) -> None:
        loops, self._loops = list(self._loops.values()), {}
        for loop in loops:
            loop.cancel()
        if loops:
            await asyncio.wait(loops)

    async def forget(self) -> None:
        await self.close()
        self._tasks.clear()

    def _go(self, task_id: str) -> None:
        self._alarms[task_id] = asyncio.Event()
        loop = self._loops[task_id] = keep_running("sqs move", partial(self._run, task_id))
        loop.add_done_callback(lambda _: self._loops.pop(task_id, None))

    async def _run(self, task_id: str) -> None:
        while True:
            task = self._tasks[task_id]
            if task.status is Status.CANCELLING:
                await self._end(task, Status.CANCELLED)
                return
            try:
                moved = await self._step(task)
            except QueueMissing:
                await self._end(task, Status.FAILED, NO_QUEUE)
                return
            except _Failed as failed:
                await self._end(self._tasks[task_id], Status.FAILED, str(failed))
                return
            if not moved:
                await self._end(self._tasks[task_id], Status.COMPLETED)
                return
            if task.rate is not None:
                await pause(self._clock, moved / task.rate, self._alarms[task_id])

    async def _step(self, task: MoveTask) -> int:
        """One batch. Returns how many messages were moved; 0: nothing is there to be moved."""
        line = await self._lines.get(task.source)
        haul = await line.take(min(BATCH, task.rate or BATCH), HIDDEN_MS, None)
        try:
            contents = await line.contents(haul.taken)
            pairs = [(entry, body) for entry, body in zip(haul.taken, contents, strict=True) if body is not None]
            plan = [(entry, body, await self._target(task, entry)) for entry, body in pairs]
        except (asyncio.CancelledError, PlatformFault, QueueMissing, _Failed):
            line.give_back(haul.taken)
            raise
        if not plan:
            return 0
        arriving: dict[Line, list[tuple[Entry, NewRecord]]] = {}
        for entry, body, target in plan:
            sequence = self._lines.sequences.next() if target.record.fifo else None
            content = repack(unpack(body), message_id=uuid4(), sequence=sequence)
            made = new_entry(target, content, entry.group, self._clock.epoch_ms(), target.record.delay_s)
            arriving.setdefault(target, []).append(made)
        leaving = [entry for entry, _, _ in plan]
        for entry in leaving:
            line.shelf.leave(entry)
        task = self._tasks[task.id]
        task = self._tasks[task.id] = replace(task, moved=task.moved + len(plan))
        for target, made_there in arriving.items():
            self._queue.put(
                [record for _, record in made_there], partial(target.stored, [entry for entry, _ in made_there])
            )
        done = self._queue.drop([entry.id for entry in leaving], [rows.progress(task)])
        try:
            await asyncio.shield(done)
        except PlatformFault:
            self._tasks[task.id] = replace(self._tasks[task.id], moved=task.moved - len(plan))
            line.stay(leaving)
            raise
        for entry in leaving:
            line.gone(entry)
        return len(plan)

    async def _target(self, task: MoveTask, entry: Entry) -> Line:
        """Raises QueueMissing and _Failed."""
        if task.destination is not None:
            return await self._lines.get(task.destination)
        source = QueueKey.of_arn(entry.source)
        if source is None:
            raise _Failed(NO_SOURCE)
        return await self._lines.get(source)

    async def _end(self, task: MoveTask, status: Status, failure: str | None = None) -> None:
        ended = replace(task, status=status, failure=failure)
        statement, values = rows.progress(ended)
        await self._database.write(lambda connection: connection.execute(statement, values) and None)
        self._tasks[task.id] = ended
        self._alarms.pop(task.id, None)


_ACTIVE: Final = (Status.RUNNING, Status.CANCELLING)
