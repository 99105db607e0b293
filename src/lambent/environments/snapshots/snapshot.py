"""The snapshots of this machine: for each function version with SnapStart a template, and restores from it.

What is wanted is the control plane's; templates are made for it in the background, one at a time, and made anew after
a restart of the server. Their number is bounded: the one that was used longest ago goes, and comes back when it is
needed. A clone of each waits, so that a restore usually only has to let it go on. Where no
snapshot can be taken, environments are initialised one by one, and `status` says why.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from lambent.aws.errors import PlatformFault
from lambent.core import tasks
from lambent.environments import capacity
from lambent.environments.events import HowStarted
from lambent.environments.ports import JournalSource
from lambent.environments.prewarm import Obtained
from lambent.environments.sandbox.ports import Sandbox, SandboxDriver, SandboxError
from lambent.environments.snapshots.template import Template
from lambent.environments.surroundings import Surroundings
from lambent.functions.ports import SnapshotOutcome as Outcome
from lambent.functions.ports import Taken
from lambent.functions.records import FunctionVersion
from lambent.launcher.client import LauncherError

logger = logging.getLogger(__name__)

MOST_TEMPLATES: Final = 32
LOOK_EVERY_S: Final = 5.0
TRY_AGAIN_S: Final = 60.0
"""A template that broke is not made again sooner."""


@dataclass(slots=True)
class _Entry:
    version: FunctionVersion
    template: Template | None = None
    known: Outcome | None = None
    """How the last try ended."""
    spare: Sandbox | None = None
    refilling: bool = False
    not_before: float = 0.0

    @property
    def used_at(self) -> float:
        return self.template.used_at if self.template is not None else 0.0


class Snapshots:
    """`run` is its background work, `close` its end. Also a `VersionObserver`."""

    def __init__(
        self, *, most: int = MOST_TEMPLATES, available_memory: Callable[[], float] = capacity.available_memory
    ) -> None:
        self._most = most
        self._available_memory = available_memory
        self._entries: dict[str, _Entry] = {}
        self._changed = asyncio.Event()
        self._closed = False

    def open(self, driver: SandboxDriver, journals: JournalSource, surroundings: Callable[[], Surroundings]) -> None:
        """Before anything else: where sandboxes come from. The pool does this, which is made later."""
        self._driver = driver
        self._journals = journals
        self._surroundings = surroundings

    # What is asked of it

    async def take(self, version: FunctionVersion) -> Outcome:
        """Initialise `version` once and keep the result. Of a publish: nobody invokes it yet.

        Raises PlatformFault when the server ends meanwhile: the same again after its next start."""
        outcome = await self._outcome(self._entry(version))
        if self._closed:
            raise PlatformFault("the server ends")
        if outcome.taken is Taken.FAILED:
            self.retire(version.deployment_id)
        return outcome

    def status(self, deployment_id: str) -> Outcome | None:
        """How the last try ended; None when there was none since the server started."""
        entry = self._entries.get(deployment_id)
        return entry.known if entry is not None else None

    async def restore(self, version: FunctionVersion) -> Obtained | None:
        """A sandbox that waits as it was after Init; None when this version has no snapshot."""
        if not version.has_snapshot or self._closed or version.deployment_id not in self._entries:
            return None
        entry = self._entries[version.deployment_id]
        if entry.template is not None:
            entry.template.used_at = self._surroundings().clock.monotonic()
        sandbox, entry.spare = entry.spare, None
        if sandbox is None and (await self._outcome(entry)).taken is Taken.YES:
            sandbox, entry.spare = entry.spare, None
            sandbox = sandbox or await self._clone(entry)
        if sandbox is None:
            return None
        self._refill(entry)
        return Obtained(sandbox, HowStarted.RESTORED)

    @property
    def templates(self) -> int:
        return sum(entry.template is not None for entry in self._entries.values())

    def expect(self, version: FunctionVersion) -> None:
        """This version is Active and may be invoked."""
        self._entries.setdefault(version.deployment_id, _Entry(version))
        self._changed.set()

    def retire(self, deployment_id: str) -> None:
        """This deployment is not invoked any more."""
        entry = self._entries.pop(deployment_id, None)
        if entry is not None:
            self._evict(entry)

    def deployed(self, runtime: str) -> None:
        """Nothing to prepare: a snapshot is taken when a version is published."""

    async def run(self, wanted: Callable[[], Iterable[FunctionVersion]]) -> None:
        """Until cancelled. The first round makes the templates of before a restart."""
        for version in wanted():
            self.expect(version)
        while True:
            self._changed.clear()
            self._sweep()
            entry = self._missing()
            if entry is not None:
                await self._outcome(entry)
                continue
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def close(self) -> None:
        """End all templates and the clones that wait."""
        self._closed = True
        for entry in self._entries.values():
            self._evict(entry)
        self._entries.clear()

    # Inside

    def _entry(self, version: FunctionVersion) -> _Entry:
        return self._entries.setdefault(version.deployment_id, _Entry(version))

    async def _outcome(self, entry: _Entry) -> Outcome:
        """Of the template that there is, or of one that is made now."""
        now = self._surroundings().clock.monotonic()
        if entry.template is None:
            if entry.known is not None and (entry.known.taken is not Taken.YES or now < entry.not_before):
                return entry.known if entry.known.taken is not Taken.YES else _BROKEN
            self._make_room(1)
            entry.template = template = Template(entry.version, self._driver, self._journals, self._surroundings())
            tasks.detach(f"template of {entry.version.qualified_arn}", template.run())
        template = entry.template
        outcome = await asyncio.shield(template.outcome)
        if entry.known is None and outcome.taken is Taken.IMPOSSIBLE:
            logger.warning("%s: no snapshot: %s", entry.version.qualified_arn, outcome.reason)
        entry.known = outcome
        if entry.template is template:
            if outcome.taken is not Taken.YES:
                entry.template = None
            elif (first := template.first()) is not None:
                entry.spare = first
            # Others may have been made at the same time.
            self._make_room(0)
        return outcome

    async def _clone(self, entry: _Entry) -> Sandbox | None:
        template = entry.template
        if template is None or not template.ready:
            return None
        try:
            return await template.clone()
        except (SandboxError, LauncherError, TimeoutError) as error:
            logger.warning("%s could not be restored: %s", entry.version.qualified_arn, error)
            if entry.template is template:
                self._evict(entry)
                entry.not_before = self._surroundings().clock.monotonic() + TRY_AGAIN_S
            return None

    def _refill(self, entry: _Entry) -> None:
        if not entry.refilling and entry.spare is None and not self._closed:
            entry.refilling = True
            tasks.detach(f"clone of {entry.version.qualified_arn}", self._spare(entry))

    async def _spare(self, entry: _Entry) -> None:
        try:
            sandbox = await self._clone(entry)
        finally:
            entry.refilling = False
        if sandbox is None:
            return
        if entry.spare is None and entry.template is not None and not self._closed:
            entry.spare = sandbox
        else:
            await sandbox.stop()

    def _missing(self) -> _Entry | None:
        """The next template to make: not one that was evicted, which comes back when it is invoked."""
        if self.templates >= self._most:
            return None
        return next((each for each in self._entries.values() if each.template is None and each.known is None), None)

    def _make_room(self, wanted: int) -> None:
        templates = sorted(self._ready(), key=lambda entry: entry.used_at)
        for entry in templates[: max(0, len(templates) + wanted - self._most)]:
            self._evict(entry)

    def _ready(self) -> list[_Entry]:
        return [each for each in self._entries.values() if each.template is not None and each.template.ready]

    def _sweep(self) -> None:
        """A quarter of the templates goes while memory is low."""
        templates = sorted(self._ready(), key=lambda entry: entry.used_at)
        for entry in templates[: capacity.idle_to_evict(len(templates), self._available_memory())]:
            self._evict(entry)

    def _evict(self, entry: _Entry) -> None:
        self._end_spare(entry)
        template, entry.template = entry.template, None
        if template is not None:
            template.stop()

    def _end_spare(self, entry: _Entry) -> None:
        spare, entry.spare = entry.spare, None
        if spare is not None:
            tasks.detach("end of a clone that waited", spare.stop())


_BROKEN: Final = Outcome(Taken.IMPOSSIBLE, "the last restore from it failed")
