"""The reconciling loop: Pending -> Active and InProgress -> Successful, or failed with the reason.

A version leaves its transition when its package is unpacked and the runtime said that it can run here; there is no
timer. The loop is also recovery: at a start it gets every version that a crash left in between.
"""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection

from lambent.aws.errors import PlatformFault
from lambent.core.clock import Clock
from lambent.core.ids import uuid4
from lambent.functions import revise, store
from lambent.functions.archive import BadPackage
from lambent.functions.changes import Change, Changes, is_latest
from lambent.functions.networks import Networks
from lambent.functions.packages import Packages
from lambent.functions.ports import Refusal, RuntimeSupport, RuntimeVersionArn, SnapshotTaker, Taken
from lambent.functions.records import FunctionVersion

logger = logging.getLogger(__name__)

_WORKERS = 4
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 10.0


@dataclass(frozen=True, slots=True)
class BrokenPackage:
    """The archive cannot be unpacked any more."""

    reason: str
    code: str = "InvalidZipFileException"


@dataclass(frozen=True, slots=True)
class NoImages:
    """The code is a container image."""

    reason: str = (
        "This Lambent cannot run container images yet. The function is kept as it is; use PackageType Zip to run it."
    )
    code: str = "InvalidImage"


@dataclass(frozen=True, slots=True)
class NoSnapshot:
    """The version could not be initialised."""

    reason: str
    code: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found."""

    refusal: Refusal | None
    runtime_version_arn: str | None = None
    note: str | None = None
    """What a usable version lacks."""


class Transitions:
    """`run` is the loop, supervised by its owner; `settle` hands it a version."""

    def __init__(
        self,
        changes: Changes,
        packages: Packages,
        support: RuntimeSupport,
        networks: Networks,
        runtime_version_arn: RuntimeVersionArn,
        clock: Clock,
        snapshots: SnapshotTaker,
    ) -> None:
        self._snapshots = snapshots
        self._changes = changes
        self._packages = packages
        self._support = support
        self._networks = networks
        self._runtime_version_arn = runtime_version_arn
        self._clock = clock
        self._waiting: asyncio.Queue[FunctionVersion] = asyncio.Queue()
        self._checks = ThreadPoolExecutor(1, thread_name_prefix="runtime-check")

    def settle(self, version: FunctionVersion) -> None:
        self._waiting.put_nowait(version)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(_WORKERS):
                group.create_task(self._work(group))

    def close(self) -> None:
        self._checks.shutdown(wait=True, cancel_futures=True)

    async def _work(self, group: asyncio.TaskGroup) -> None:
        while True:
            version = await self._waiting.get()
            if version.has_snapshot:
                # Its Init may take minutes, and others wait.
                group.create_task(self._settle(version))
                continue
            try:
                await self._settle(version)
            except BaseException:
                # The loop ends, by a bug or with the process; whoever starts it again finds the version.
                self._waiting.put_nowait(version)
                raise

    async def _settle(self, version: FunctionVersion) -> None:
        pause = _FIRST_PAUSE_S
        while not await self._settled(version):
            await self._clock.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)

    async def _settled(self, version: FunctionVersion) -> bool:
        """False when the platform failed, not the function: the same again later."""
        try:
            layers = [layer.code for layer in version.layers]
            with self._packages.hold(version.code.sha256), self._packages.hold_opt(layers):
                verdict = await self._verdict(version)
                await self._changes.commit(lambda connection: _end(connection, version, verdict))
        except PlatformFault as fault:
            logger.warning("%s stays %s for now: %s", version.qualified_arn, version.state, fault)
            return False
        return True

    async def _verdict(self, version: FunctionVersion) -> Verdict:
        if version.image is not None:
            return Verdict(NoImages())
        if version.vpc is not None and (refusal := self._networks.refusal()) is not None:
            logger.warning("%s cannot run: %s", version.qualified_arn, refusal.reason)
            return Verdict(refusal)
        try:
            code_dir = await self._packages.ready(version.code)
            # So that the first invocation need not wait for it.
            await self._packages.ready_opt([layer.code for layer in version.layers])
        except BadPackage as error:
            return Verdict(BrokenPackage(str(error)))
        loop = asyncio.get_running_loop()
        verdict = await loop.run_in_executor(self._checks, self._check, version, code_dir)
        return await self._with_snapshot(version, verdict) if version.has_snapshot else verdict

    async def _with_snapshot(self, version: FunctionVersion, verdict: Verdict) -> Verdict:
        if verdict.refusal is not None:
            return verdict
        outcome = await self._snapshots.take(version)
        if outcome.taken is Taken.FAILED:
            return Verdict(NoSnapshot(outcome.reason or "", outcome.code or "FunctionError"))
        if outcome.taken is Taken.IMPOSSIBLE:
            return replace(verdict, note=f"SnapStart is without effect, there is no snapshot: {outcome.reason}.")
        return verdict if outcome.reason is None else replace(verdict, note=f"SnapStart restores {outcome.reason}.")

    def _check(self, version: FunctionVersion, code_dir: Path) -> Verdict:
        refusal = self._support.refusal(version.runtime, version.architecture, code_dir)
        if refusal is not None:
            return Verdict(refusal)
        return Verdict(None, self._runtime_version_arn(version.runtime, version.region))


def _end(connection: Connection, begun: FunctionVersion, verdict: Verdict) -> Change:
    """End the transition that `begun` started, unless the function has changed or gone since."""
    if is_latest(begun):
        function = store.load(connection, begun.key)
        if function is None or not _still(function.latest, begun):
            return Change(key=begun.key)
        latest = revise.settled(function.latest, verdict.refusal, verdict.runtime_version_arn, uuid4)
        serving = None if verdict.refusal is None else function.serving
        store.put_latest(connection, latest, serving)
        return Change(key=begun.key, latest=latest, serving=serving)
    version = store.load_version(connection, begun.key, begun.version)
    if version is None or not _still(version, begun):
        return Change(key=begun.key)
    version = revise.settled(version, verdict.refusal, verdict.runtime_version_arn, uuid4, verdict.note)
    store.put_published(connection, version)
    return Change(key=begun.key, published=(version,))


def _still(current: FunctionVersion, begun: FunctionVersion) -> bool:
    return not current.settled and current.deployment_id == begun.deployment_id
