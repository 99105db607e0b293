"""Pollers that read nothing, and remember when they were started and stopped."""

import asyncio
from dataclasses import dataclass, field

from lambent.aws.errors import PlatformFault
from lambent.event_sources.ports import PollerFactories
from lambent.event_sources.records import EventSourceMapping
from lambent.event_sources.sources import Kind


@dataclass(slots=True)
class ScriptedPollers:
    """Factories for `kinds`. While held, no start or stop ends; `faults` fail as many starts."""

    kinds: tuple[Kind, ...] = tuple(Kind)
    running: dict[str, EventSourceMapping] = field(default_factory=dict)
    """What is polled now, by UUID."""
    events: list[str] = field(default_factory=list)
    faults: int = 0
    _open: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._open.set()

    def factories(self) -> PollerFactories:
        return dict.fromkeys(self.kinds, self._make)

    def hold(self) -> None:
        self._open.clear()

    def release(self) -> None:
        self._open.set()

    async def passed(self) -> None:
        await self._open.wait()

    def _make(self, mapping: EventSourceMapping) -> "ScriptedPoller":
        return ScriptedPoller(self, mapping)


@dataclass(slots=True)
class ScriptedPoller:
    """Implements `event_sources.ports.Poller`."""

    script: ScriptedPollers
    mapping: EventSourceMapping

    async def start(self) -> None:
        await self.script.passed()
        if self.script.faults:
            self.script.faults -= 1
            raise PlatformFault("scripted")
        assert self.mapping.uuid not in self.script.running, "two pollers for one mapping"
        self.script.running[self.mapping.uuid] = self.mapping
        self.script.events.append("start")

    async def stop(self) -> None:
        await self.script.passed()
        if self.script.running.pop(self.mapping.uuid, None) is not None:
            self.script.events.append("stop")

    def abandon(self) -> None:
        if self.script.running.pop(self.mapping.uuid, None) is not None:
            self.script.events.append("stop")
