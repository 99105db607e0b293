"""What costs without an invocation: provisioned concurrency as it is kept, and snapshots of SnapStart.

Looks at what is wanted every few seconds and adds what that costs to the ledger. AWS sells both by time: the first in
steps of five minutes, the second for three hours at least. Only time that this server runs is counted.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from lambent.billing.prices import Prices
from lambent.billing.rows import Key, Kind, Rows, Span, Sums, add
from lambent.core.clock import Clock
from lambent.functions.provisioned import Wanted
from lambent.functions.records import FunctionVersion

EVERY_S: Final = 10.0
STEP_MS: Final = 5 * 60_000
LEAST_CACHED_MS: Final = 3 * 3_600_000

VersionName = tuple[str, str, str, str]
"""Account, region, function, version."""


class Paid(NamedTuple):
    """So many environments are paid for until then."""

    environments: int
    until_ms: int


def renewed(paid: Sequence[Paid], wanted: int, now_ms: int) -> tuple[list[Paid], int]:
    """What is paid for once `wanted` are, and how many steps of five minutes that costs. Pure.

    A step that is over is followed by the next one without a gap, as long as somebody looks within five minutes. What
    was paid for and is not wanted any more is not given back, and is there for whoever wants it again.
    """
    running = [each for each in paid if each.until_ms > now_ms]
    missing, steps = max(0, wanted - sum(each.environments for each in running)), 0
    for each in sorted((each for each in paid if each.until_ms <= now_ms), key=lambda each: -each.until_ms):
        if missing and now_ms - each.until_ms < STEP_MS:
            count = min(missing, each.environments)
            running.append(Paid(count, each.until_ms + STEP_MS))
            missing, steps = missing - count, steps + count
    if missing:
        running.append(Paid(missing, now_ms + STEP_MS))
    return running, steps + missing


def cached_ms(before_ms: int | None, after_ms: int) -> int:
    """What is to be billed when a snapshot has been kept for `after_ms`; `before_ms` was the last time, None: none."""
    billed = 0 if before_ms is None else max(LEAST_CACHED_MS, before_ms)
    return max(LEAST_CACHED_MS, after_ms) - billed


class Standing:
    """`recorded`: what snapshots were billed before this start, memory times milliseconds; `allocated`: the steps of
    provisioned concurrency that were paid for in the last minutes before it."""

    def __init__(
        self,
        clock: Clock,
        prices: Prices,
        *,
        wanted: Callable[[], Mapping[str, Wanted]],
        snapshots: Callable[[], Iterable[FunctionVersion]],
        recorded: Mapping[VersionName, int],
        billed: Callable[[Rows], None],
        allocated: Mapping[VersionName, Sequence[tuple[int, int]]] | None = None,
    ) -> None:
        self._clock = clock
        self._prices = prices
        self._wanted = wanted
        self._snapshots = snapshots
        self._recorded = dict(recorded)
        self._allocated = dict(allocated or {})
        self._billed = billed
        self._paid: dict[str, list[Paid]] = {}
        """By deployment."""
        self._kept: dict[str, int] = {}
        """How long the snapshot of a deployment has been kept."""
        self._looked: float = clock.monotonic()

    async def run(self) -> None:
        while True:
            self.look()
            await self._clock.sleep(EVERY_S)

    def look(self) -> None:
        now_ms, rows = self._clock.epoch_ms(), Rows()
        self._look_at_allocations(now_ms, rows)
        self._look_at_snapshots(now_ms, rows)
        self._billed(rows)

    def _look_at_allocations(self, now_ms: int, rows: Rows) -> None:
        wanted = self._wanted()
        for deployment, each in wanted.items():
            paid = self._paid.get(deployment)
            if paid is None:
                paid = self._paid_before_the_start(each.version)
            self._paid[deployment], steps = renewed(paid, each.executions, now_ms)
            _add(rows, now_ms, each.version, Kind.ALLOCATED, steps * STEP_MS)
        for deployment in self._paid.keys() - wanted.keys():
            if not (left := renewed(self._paid[deployment], 0, now_ms)[0]):
                del self._paid[deployment]
            else:
                self._paid[deployment] = left

    def _look_at_snapshots(self, now_ms: int, rows: Rows) -> None:
        moment = self._clock.monotonic()
        since_ms, self._looked = int((moment - self._looked) * 1000), moment
        kept: dict[str, int] = {}
        for version in self._snapshots():
            # A fork of $LATEST is ours, and costs nothing.
            if not version.snap_start or not self._prices.charges_snapshots(version.runtime):
                continue
            before = self._kept.get(version.deployment_id)
            if before is None:
                before = self._kept_before_the_start(version, now_ms)
            after = 0 if before is None else before + since_ms
            kept[version.deployment_id] = after
            _add(rows, now_ms, version, Kind.CACHED, cached_ms(before, after))
        self._kept = kept

    def _paid_before_the_start(self, version: FunctionVersion) -> list[Paid]:
        step = STEP_MS * version.memory_mb
        before = self._allocated.pop((*version.key, version.version), ())
        return [Paid(amount // step, start_ms + STEP_MS) for start_ms, amount in before if amount >= step]

    def _kept_before_the_start(self, version: FunctionVersion, now_ms: int) -> int | None:
        """None: never. The ledger knows what was billed, which is three hours from the first moment on."""
        billed_ms = self._recorded.pop((*version.key, version.version), 0) // version.memory_mb
        if not billed_ms:
            return None
        age_ms = now_ms - int(version.last_modified.timestamp() * 1000)
        return max(0, min(billed_ms, age_ms))


def _add(rows: Rows, now_ms: int, version: FunctionVersion, kind: Kind, time_ms: int) -> None:
    if time_ms <= 0:
        return
    minute = Span.MINUTE.begin(now_ms)
    key = Key(Span.MINUTE, minute, *version.key, version.version, version.architecture, kind)
    add(rows, key, Sums(memory_mb_ms=time_ms * version.memory_mb))
