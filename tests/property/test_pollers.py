"""Whatever fails, and whenever the server dies: messages are processed, deleted after success only, groups in order."""

import asyncio
import random
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lambent.testing.manual_clock import settle
from lambent.testing.scripted_sqs import ScriptedQueue
from tests.unit.event_sources.poller_kit import FIFO, QUEUE, FunctionFailed, Kit

TIMEOUT_S = 5
TROUBLE_S = 300
"""Afterwards nothing fails any more."""
LONGEST_S = 1_000
STEP_S = 0.7


@dataclass(frozen=True, slots=True)
class Plan:
    fifo: bool
    messages: int
    groups: int
    batch_size: int
    window_s: int
    partial: bool
    visibility_s: int
    failures: float
    """How often something fails: a batch, a message, a throttle, a deletion."""
    kills: int
    updates: int
    concurrency: int | None
    seed: int


PLANS = st.builds(
    Plan,
    fifo=st.booleans(),
    messages=st.integers(1, 60),
    groups=st.integers(1, 4),
    batch_size=st.sampled_from([1, 3, 10]),
    window_s=st.sampled_from([0, 2]),
    partial=st.booleans(),
    visibility_s=st.sampled_from([TIMEOUT_S, 30]),
    failures=st.sampled_from([0.0, 0.1, 0.4]),
    kills=st.integers(0, 3),
    updates=st.integers(0, 2),
    concurrency=st.sampled_from([None, 2]),
    seed=st.integers(0, 1 << 16),
)


@dataclass(slots=True)
class Model:
    """The function, and what is true of it at any time."""

    plan: Plan
    kit: Kit = field(init=False)
    rng: random.Random = field(init=False)
    queue: ScriptedQueue = field(init=False)
    succeeded: set[str] = field(default_factory=set)
    """Bodies that the function has had and not failed with."""
    busy: list[str] = field(default_factory=list)
    """Groups that a batch which runs is of."""

    def __post_init__(self) -> None:
        self.rng = random.Random(self.plan.seed)
        self.kit = Kit(self.handle, timeout_s=TIMEOUT_S)
        self.queue = self.kit.sqs.create(FIFO if self.plan.fifo else QUEUE, self.plan.visibility_s)

    def fails(self) -> bool:
        return self.kit.clock.monotonic() < TROUBLE_S and self.rng.random() < self.plan.failures

    async def handle(self, event: Any) -> Any:
        records = event["Records"]
        groups = {record["attributes"].get("MessageGroupId") for record in records} - {None}
        assert not groups & set(self.busy), "two batches of one group"
        self.in_order(records)
        self.busy += groups
        try:
            await self.kit.clock.sleep(self.rng.choice([0, 0, 0.5, TIMEOUT_S - 0.5]))
        finally:
            for group in groups:
                self.busy.remove(group)
        if self.fails():
            raise FunctionFailed
        stuck: set[str | None] = set()
        failed = []
        for record in records:
            group = record["attributes"].get("MessageGroupId")
            if self.plan.partial and (group in stuck or self.fails()):
                failed.append({"itemIdentifier": record["messageId"]})
                stuck |= {group} if group else set()
            else:
                self.succeeded.add(record["body"])
        return {"batchItemFailures": failed}

    def in_order(self, records: list[Any]) -> None:
        """Before a message of a group come all earlier ones: processed, or in the same batch."""
        if not self.plan.fifo:
            return
        before = set(self.succeeded)
        for record in records:
            group, _, number = record["body"].partition("-")
            earlier = {f"{group}-{each}" for each in range(int(number))}
            assert earlier <= before, f"{record['body']} came before {sorted(earlier - before)}"
            before.add(record["body"])

    def send(self) -> None:
        numbers = dict.fromkeys(range(self.plan.groups), 0)
        for _ in range(self.plan.messages):
            group = self.rng.randrange(self.plan.groups)
            body = f"{group}-{numbers[group]}"
            numbers[group] += 1
            self.kit.sqs.send(self.queue, body, group=str(group) if self.plan.fifo else None)

    async def run(self) -> None:
        plan = self.plan
        self.send()
        sent = {message.body for message in self.queue.messages}
        options: dict[str, Any] = {"batch_size": plan.batch_size, "maximum_concurrency": plan.concurrency}
        if plan.partial:
            options["response_types"] = ("ReportBatchItemFailures",)
        if plan.window_s and not plan.fifo:
            options["window_s"] = plan.window_s
        arn = FIFO if plan.fifo else QUEUE
        poller = self.kit.poller(arn, **options)
        await poller.start()
        ends = [self.kill] * plan.kills + [self.kit.stopped] * plan.updates
        self.rng.shuffle(ends)
        while self.queue.messages:
            if self.fails():
                self.kit.function.refusals = self.rng.randrange(4)
                self.kit.function.faults = self.rng.randrange(2)
                self.kit.sqs.fail[self.rng.choice(["DeleteMessageBatch", "ReceiveMessage", "GetQueueUrl"])] = 1
            await self.kit.clock.advance(self.rng.choice([0.01, STEP_S, STEP_S]))
            assert set(self.queue.deleted) <= self.succeeded, "deleted without success"
            assert self.kit.clock.monotonic() < LONGEST_S, "it does not come to an end"
            if ends and self.rng.random() < 0.3:
                await ends.pop()(poller)
                poller = self.kit.poller(arn, **options)
                await poller.start()
        await self.kit.stopped(poller)
        assert sorted(self.queue.deleted) == sorted(sent)
        assert self.succeeded == sent

    async def kill(self, _poller: Any) -> None:
        """Nothing that runs in the server goes on, and nobody cleans up."""
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await settle()
        self.busy.clear()


@settings(max_examples=40, deadline=None)
@given(plan=PLANS)
def test_every_message_is_processed_and_deleted_only_after_success(plan: Plan) -> None:
    async def run() -> None:
        async with asyncio.timeout(20):
            await Model(plan).run()

    asyncio.run(run())
