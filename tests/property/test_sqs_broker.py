"""Whatever is sent, received, deleted, hidden, purged and restarted: the broker does as a simple model."""

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lambent.services.sqs.broker import Broker
from lambent.services.sqs.line import Room
from lambent.services.sqs.records import Outgoing, PurgeInProgress, QueueKey, Received, Refusal
from lambent.store.database import Database
from lambent.testing.manual_clock import ManualClock

SMALL = Room(window=4, page=3, body_bytes=40)
"""So that most messages are on disk alone."""
RETENTION_S = 100


@dataclass(frozen=True)
class Send:
    group: str
    count: int
    delay_s: int


@dataclass(frozen=True)
class Receive:
    limit: int
    visibility_s: int


@dataclass(frozen=True)
class Delete:
    which: int


@dataclass(frozen=True)
class Change:
    which: int
    seconds: int


@dataclass(frozen=True)
class Pass:
    seconds: int


@dataclass(frozen=True)
class Purge:
    pass


@dataclass(frozen=True)
class Restart:
    pass


Step = Send | Receive | Delete | Change | Pass | Purge | Restart
STEPS = st.lists(
    st.one_of(
        st.builds(Send, st.sampled_from("ab"), st.integers(1, 5), st.sampled_from((0, 0, 0, 7))),
        st.builds(Receive, st.integers(1, 10), st.sampled_from((0, 5, 20, 200))),
        st.builds(Receive, st.integers(1, 10), st.just(20)),
        st.builds(Delete, st.integers(0, 30)),
        st.builds(Delete, st.integers(0, 30)),
        st.builds(Change, st.integers(0, 30), st.sampled_from((0, 10, 60))),
        st.builds(Pass, st.sampled_from((1, 6, 21, 101))),
        st.builds(Purge),
        st.builds(Restart),
    ),
    max_size=30,
)


@dataclass
class Known:
    """A message of the model."""

    text: str
    group: str
    sent_ms: int
    visible_ms: int
    takes: int = 0


@dataclass
class Model:
    """Everything in one list, in the order of sending."""

    fifo: bool
    messages: list[Known] = field(default_factory=list)

    def expire(self, now_ms: int) -> None:
        self.messages = [each for each in self.messages if each.sent_ms + RETENTION_S * 1000 > now_ms]

    def deliverable(self, now_ms: int) -> list[Known]:
        found = []
        locked = set()
        for each in self.messages:
            if each.visible_ms <= now_ms and not (self.fifo and each.group in locked):
                found.append(each)
            else:
                locked.add(each.group)
        return found

    def find(self, text: str) -> Known | None:
        return next((each for each in self.messages if each.text == text), None)

    def current(self, received: Received, now_ms: int) -> bool:
        known = self.find(received.body.decode())
        return known is not None and known.takes == received.receive_count and known.visible_ms > now_ms


@dataclass
class World:
    database: Database
    fifo: bool

    def __post_init__(self) -> None:
        self.clock = ManualClock()
        self.broker = Broker(self.database, self.clock, room=SMALL)
        self.key = QueueKey("123456789012", "us-east-1", "queue.fifo" if self.fifo else "queue")
        self.model = Model(self.fifo)
        self.received: list[Received] = []
        self.number = 0

    async def run(self, steps: Sequence[Step]) -> None:
        attributes = {"MessageRetentionPeriod": str(RETENTION_S), "VisibilityTimeout": "20"}
        await self.broker.create(self.key, fifo=self.fifo, attributes=attributes, tags={})
        for step in steps:
            self.model.expire(self.clock.epoch_ms())
            await self.do(step)
            await self.check()
        await self.empty()

    async def do(self, step: Step) -> None:
        match step:
            case Send():
                await self.send(step)
            case Receive():
                await self.receive(step.limit, step.visibility_s)
            case Delete() if self.received:
                await self.delete(self.received[step.which % len(self.received)])
            case Change() if self.received:
                await self.change(self.received[step.which % len(self.received)], step.seconds)
            case Pass():
                await self.clock.advance(step.seconds)
            case Purge():
                await self.purge()
            case Restart():
                await self.broker.close()
                self.broker = Broker(self.database, self.clock, room=SMALL)
            case _:
                pass

    async def send(self, step: Send) -> None:
        texts = [f"{step.group}{self.number + at}" for at in range(step.count)]
        self.number += step.count
        group = step.group if self.fifo else None
        now_ms = self.clock.epoch_ms()
        delay_s = None if self.fifo else step.delay_s
        await self.broker.send(
            self.key,
            [
                Outgoing(
                    body=text.encode(), sender_id="me", group_id=group, deduplication_id=group and text, delay_s=delay_s
                )
                for text in texts
            ],
        )
        self.model.messages += [Known(text, step.group, now_ms, now_ms + (delay_s or 0) * 1000) for text in texts]

    async def receive(self, limit: int, visibility_s: int) -> None:
        now_ms = self.clock.epoch_ms()
        ready = self.model.deliverable(now_ms)
        got = await self.broker.receive(self.key, limit=limit, visibility_s=visibility_s, wait_s=0)
        texts = [each.body.decode() for each in got]
        assert len(texts) == len(set(texts)) <= min(limit, len(ready))
        # At the end of a page a receive may get fewer, but never nothing.
        assert bool(texts) == bool(ready)
        assert set(texts) <= {each.text for each in ready}
        if self.fifo:
            for group in "ab":
                ours = [text for text in texts if text[0] == group]
                assert ours == [each.text for each in ready if each.group == group][: len(ours)]
        elif all(each.takes < 3 for each in ready):
            assert texts == [each.text for each in ready][: len(texts)]
        for received in got:
            known = self.model.find(received.body.decode())
            assert known is not None
            known.takes += 1
            known.visible_ms = now_ms + visibility_s * 1000
            assert received.receive_count == known.takes
        self.received += got

    async def delete(self, received: Received) -> None:
        known = self.model.find(received.body.decode())
        (answer,) = await self.broker.delete(self.key, [received.handle])
        if known is not None and self.fifo and not self.model.current(received, self.clock.epoch_ms()):
            assert answer is Refusal.EXPIRED
            return
        assert answer is None
        if known is not None:
            self.model.messages.remove(known)

    async def change(self, received: Received, seconds: int) -> None:
        now_ms = self.clock.epoch_ms()
        known = self.model.find(received.body.decode())
        (answer,) = await self.broker.change_visibility(self.key, [(received.handle, seconds)])
        if known is None:
            assert answer is Refusal.GONE
        elif self.fifo and not self.model.current(received, now_ms):
            assert answer is Refusal.EXPIRED
        else:
            assert answer is None
            if known.visible_ms > now_ms:
                known.visible_ms = now_ms + seconds * 1000

    async def purge(self) -> None:
        try:
            await self.broker.purge(self.key)
        except PurgeInProgress:
            return
        self.model.messages.clear()

    async def check(self) -> None:
        now_ms = self.clock.epoch_ms()
        self.model.expire(now_ms)
        hidden = [each for each in self.model.messages if each.visible_ms > now_ms]
        await self.broker.sweep()
        counts = await self.broker.counts(self.key)
        flying = sum(each.takes > 0 for each in hidden)
        assert counts == (len(self.model.messages) - len(hidden), flying, len(hidden) - flying)

    async def empty(self) -> None:
        """Nothing is lost: all of it can be received in the end."""
        left = {each.text for each in self.model.messages}
        await self.broker.set_attributes(self.key, {"MessageRetentionPeriod": "1209600"})
        await self.clock.advance(300)
        while got := await self.broker.receive(self.key, limit=10, visibility_s=1000, wait_s=0):
            texts = {each.body.decode() for each in got}
            assert texts <= left
            left -= texts
            await self.broker.delete(self.key, [each.handle for each in got])
        assert not left
        assert await self.broker.counts(self.key) == (0, 0, 0)


async def _play(steps: Sequence[Step], fifo: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = Database.open(Path(folder) / "lambent.db")
        world = World(database, fifo)
        try:
            async with asyncio.timeout(30):
                await world.run(steps)
        finally:
            await world.broker.close()
            await database.close()


@given(STEPS, st.booleans())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_broker_does_as_the_model(steps: Sequence[Step], fifo: bool) -> None:
    asyncio.run(_play(steps, fifo))
