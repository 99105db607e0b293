"""Rounds of kill -9 on a process that uses queues, and what must be true of what it said."""

import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lambent.core.clock import VirtualClock
from lambent.services.sqs.broker import Broker
from lambent.services.sqs.records import QueueKey
from tests.places import Place
from tests.unit.services.sqs import crash_child
from tests.unit.services.sqs.crash_child import FIFO, QUEUES

STEP = 1_000_000
"""Each run sends higher numbers than those before it."""
AHEAD_MS = 3_600_000


@dataclass
class Ledger:
    """What was said in all runs."""

    sent: set[str] = field(default_factory=set)
    received: Counter[str] = field(default_factory=Counter)
    deleting: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    passed: list[tuple[str, str]] = field(default_factory=list)
    """On FIFO: what was received before what, and should not have been."""

    def hear(self, lines: Iterable[str]) -> None:
        for line in lines:
            what, *texts = line.split()
            match what:
                case "sent":
                    self.sent.update(texts)
                case "received":
                    self.received.update(texts)
                    self._look_at_order(texts)
                case "deleting":
                    self.deleting.update(texts)
                case "deleted":
                    self.deleted.update(texts)

    def _look_at_order(self, texts: Sequence[str]) -> None:
        """Whoever is received: those of its group that were sent before it came in this receive, or may be deleted."""
        done = set(self.deleting)
        for text in texts:
            name, group, number = text.split("/")
            if name == FIFO.name:
                before = (int(number) - 1, int(number) - 2)
                self.passed += [
                    (text, earlier)
                    for earlier in (f"{name}/{group}/{each}" for each in before)
                    if earlier in self.sent and earlier not in done
                ]
            done.add(text)


def killed_run(place: Place, first: int, lines: int, ledger: Ledger) -> None:
    command = [sys.executable, "-m", crash_child.__name__, str(place.path), str(first), place.url or ""]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, cwd=Path(crash_child.__file__).parents[4], text=True
    ) as child:
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(lines + 1)]
        child.kill()
        said += child.stdout.read().splitlines(keepends=True)
    assert said[0] == "ready\n"
    ledger.hear(line for line in said if line.endswith("\n"))


async def nothing_is_lost(place: Place, rounds: int, lines: int) -> Ledger:
    """Kill it so often, each time after about so many lines; then look at what is left an hour later."""
    instants = random.Random(2026)
    ledger = Ledger()
    for number in range(rounds):
        killed_run(place, number * STEP, instants.randrange(lines // 2, lines), ledger)
    database = place.open()
    broker = Broker(database, VirtualClock(AHEAD_MS))
    left = Counter([text for key in QUEUES for text in await _drained(broker, key)])
    await broker.close()
    await database.close()
    assert ledger.sent - ledger.deleting <= left.keys()
    assert not ledger.deleted & left.keys()
    assert max(left.values(), default=1) == 1
    assert not ledger.passed
    return ledger


async def _drained(broker: Broker, key: QueueKey) -> list[str]:
    found: list[str] = []
    last: dict[str, int] = {}
    while messages := await broker.receive(key, limit=10, visibility_s=1000, wait_s=0):
        for message in messages:
            found.append(message.body.decode())
            _, group, number = found[-1].split("/")
            if key is FIFO:
                assert last.get(group, -1) < int(number)
                last[group] = int(number)
        await broker.delete(key, [message.handle for message in messages])
    return found
