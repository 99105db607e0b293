"""The reconciling loop: Creating -> Enabled, Disabling -> Disabled, Deleting -> gone; and recovery, which is the same.

What a mapping is asked to be is in its row, what it is is in its `state`; the loop starts and stops pollers until both
agree. A source that this server cannot read ends in Disabled with a reason that says so. The wish stays, so the first
server that can read the source enables it when it starts.
"""

import asyncio
import logging
from dataclasses import replace

from lambent.aws.errors import PlatformFault
from lambent.core.clock import Clock
from lambent.event_sources.changes import Changes, ReadModel
from lambent.event_sources.ports import Poller, PollerFactories
from lambent.event_sources.records import AT_REST, EventSourceMapping, MappingKey, State, moved
from lambent.event_sources.sources import SOURCES

logger = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 10.0


def no_poller(mapping: EventSourceMapping) -> str:
    title = SOURCES[mapping.source].title
    return f"This server has no poller for {title} yet. The mapping stays disabled until a server that has one starts."


def settled(mapping: EventSourceMapping, readable: bool) -> EventSourceMapping | None:
    """The end of the transition that `mapping` is in; None: it is gone. `readable`: its source has a poller here."""
    if mapping.state is State.DELETING:
        return None
    if mapping.enabled and readable and mapping.state is not State.DISABLING:
        return replace(mapping, state=moved(mapping.state, State.ENABLED))
    reason = no_poller(mapping) if mapping.enabled and not readable else mapping.state_reason
    return replace(mapping, state=moved(mapping.state, State.DISABLED), state_reason=reason)


def woken(mapping: EventSourceMapping, readable: bool) -> EventSourceMapping:
    """A stored mapping as the transition with which a server starts: other pollers than before may be there."""
    if mapping.state not in AT_REST:
        return mapping
    reason = SOURCES[mapping.source].reason
    if mapping.state is State.ENABLED and not readable:
        return replace(mapping, state=moved(mapping.state, State.DISABLING))
    if mapping.state is State.DISABLED and mapping.enabled and readable:
        return replace(mapping, state=moved(mapping.state, State.ENABLING), state_reason=reason)
    return mapping


class Reconciler:
    """`run` is the loop, supervised by its owner; `settle` hands it a mapping."""

    def __init__(self, changes: Changes, read_model: ReadModel, factories: PollerFactories, clock: Clock) -> None:
        self._changes = changes
        self._read_model = read_model
        self._factories = factories
        self._clock = clock
        self._waiting: asyncio.Queue[MappingKey] = asyncio.Queue()
        self._in_work: set[MappingKey] = set()
        self._again: set[MappingKey] = set()
        self._pollers: dict[MappingKey, Poller] = {}

    def settle(self, key: MappingKey) -> None:
        self._waiting.put_nowait(key)

    def readable(self, mapping: EventSourceMapping) -> bool:
        return SOURCES[mapping.source].kind in self._factories

    def wake(self) -> None:
        """Take up every stored mapping, before `run`."""
        for mapping in self._read_model:
            if mapping.state is not State.DISABLED or (mapping.enabled and self.readable(mapping)):
                self.settle(mapping.key)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                key = await self._waiting.get()
                if key in self._in_work:
                    # One at a time for a mapping: two would start two pollers.
                    self._again.add(key)
                    continue
                self._in_work.add(key)
                # Each by itself: the end of one waits for its batches, of 15 minutes perhaps.
                group.create_task(self._work(key))

    async def stop(self, wait_s: float) -> None:
        """Stop every poller, and wait so long at most; states stay as they are, for the next start."""
        pollers, self._pollers = self._pollers, {}
        stops = {asyncio.ensure_future(poller.stop()) for poller in pollers.values()}
        if stops:
            _, late = await asyncio.wait(stops, timeout=wait_s)
            for stop in late:
                stop.cancel()

    def abandon(self) -> None:
        """The same at once, whatever runs."""
        pollers, self._pollers = self._pollers, {}
        for poller in pollers.values():
            poller.abandon()

    async def _work(self, key: MappingKey) -> None:
        try:
            await self._settle(key)
        except BaseException:
            # The loop ends, by a bug or with the process; whoever starts it again finds the mapping.
            self._again.add(key)
            raise
        finally:
            self._in_work.discard(key)
            if key in self._again:
                self._again.discard(key)
                self._waiting.put_nowait(key)

    async def _settle(self, key: MappingKey) -> None:
        pause = _FIRST_PAUSE_S
        while True:
            try:
                await self._reconcile(key)
                return
            except PlatformFault as fault:
                logger.warning("%s: the transition is tried again: %s", key.arn, fault)
            await self._clock.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)

    async def _reconcile(self, key: MappingKey) -> None:
        mapping = self._read_model.get(key)
        if mapping is None:
            await self._stop(key)
            return
        readable = self.readable(mapping)
        begun = woken(mapping, readable)
        if begun.state is not mapping.state:
            # Committed first, so that clients see the transition; it comes back to this loop.
            await self._changes.end(key, lambda stored: woken(stored, readable))
            return
        if begun.state in AT_REST:
            # A start: what was enabled before polls again.
            if begun.state is State.ENABLED and key not in self._pollers:
                await self._start(begun)
                if self._read_model.get(key) is None:
                    await self._stop(key)
            return
        await self._stop(key)
        expected = settled(begun, readable)
        if expected is not None and expected.state is State.ENABLED:
            await self._start(begun)
        ended = await self._changes.end(
            key, lambda stored: settled(stored, readable) if stored.state is begun.state else stored
        )
        if ended is None:
            # Deleted, or gone meanwhile with everything else.
            await self._stop(key)
        elif woken(ended, readable).state is not ended.state:
            # One server was on its way to Disabled and died; this one can read the source.
            self.settle(key)

    async def _start(self, mapping: EventSourceMapping) -> None:
        poller = self._factories[SOURCES[mapping.source].kind](mapping)
        try:
            await poller.start()
        except BaseException:
            await poller.stop()
            raise
        self._pollers[mapping.key] = poller

    async def _stop(self, key: MappingKey) -> None:
        poller = self._pollers.get(key)
        if poller is not None:
            await poller.stop()
            self._pollers.pop(key, None)
