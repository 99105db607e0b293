"""What is kept ready costs by time: provisioned concurrency in steps of five minutes, snapshots for three hours."""

from datetime import UTC, datetime
from typing import Any

import pytest

from lambent.billing.prices import default
from lambent.billing.rows import Kind, Rows, added
from lambent.billing.standing import LEAST_CACHED_MS, STEP_MS, Paid, Standing, cached_ms, renewed
from lambent.functions.provisioned import Wanted
from lambent.functions.records import FunctionVersion
from tests.unit.billing.kit import ACCOUNT, NOVEMBER_MS
from tests.unit.billing.test_ledger import clock_at
from tests.unit.environments.kit import function_version

STARTED = datetime(2026, 11, 1, tzinfo=UTC)
HOUR_MS = 3_600_000


@pytest.mark.parametrize(
    ("paid", "wanted", "now", "after", "steps"),
    [
        ([], 3, 0, [Paid(3, STEP_MS)], 3),
        ([Paid(3, STEP_MS)], 3, STEP_MS - 1, [Paid(3, STEP_MS)], 0),
        ([Paid(3, STEP_MS)], 5, 1000, [Paid(3, STEP_MS), Paid(2, STEP_MS + 1000)], 2),
        ([Paid(3, STEP_MS)], 1, 1000, [Paid(3, STEP_MS)], 0),
        ([Paid(3, STEP_MS)], 1, STEP_MS + 7, [Paid(1, 2 * STEP_MS)], 1),
        ([Paid(3, STEP_MS)], 0, STEP_MS, [], 0),
        ([Paid(1, STEP_MS)], 1, 5 * STEP_MS, [Paid(1, 6 * STEP_MS)], 1),
    ],
    ids=["new", "paid", "raised", "lowered", "followed without a gap", "ended", "nobody looked for long"],
)
def test_allocation_is_paid_in_steps_of_five_minutes(
    paid: list[Paid], wanted: int, now: int, after: list[Paid], steps: int
) -> None:
    assert renewed(paid, wanted, now) == (after, steps)


def test_an_hour_that_is_looked_at_every_ten_seconds_costs_twelve_steps() -> None:
    paid: list[Paid] = []
    together = 0
    for now in range(0, HOUR_MS, 10_000):
        paid, steps = renewed(paid, 2, now)
        together += steps
    assert together == 2 * 12


def test_a_snapshot_costs_three_hours_at_least_and_then_by_the_moment() -> None:
    assert cached_ms(None, 0) == LEAST_CACHED_MS
    assert cached_ms(0, HOUR_MS) == 0
    assert cached_ms(2 * HOUR_MS, 4 * HOUR_MS) == HOUR_MS
    assert cached_ms(4 * HOUR_MS, 4 * HOUR_MS + 10) == 10


class Kit:
    def __init__(self, *, recorded: dict[Any, int] | None = None, allocated: Any = None) -> None:
        self.clock = clock_at()
        self.wanted: dict[str, Wanted] = {}
        self.snapshots: list[FunctionVersion] = []
        self.rows: Rows = {}
        self.standing = Standing(
            self.clock,
            default(),
            wanted=lambda: self.wanted,
            snapshots=lambda: self.snapshots,
            recorded=recorded or {},
            billed=self.bill,
            allocated=allocated,
        )

    def bill(self, rows: Rows) -> None:
        self.rows = added(self.rows, rows)

    async def look_for(self, seconds: float, every: float = 60) -> None:
        self.standing.look()
        for _ in range(int(seconds / every)):
            await self.clock.advance(every)
            self.standing.look()

    def billed_ms(self, kind: Kind, memory_mb: int = 128) -> int:
        return sum(sums.memory_mb_ms for key, sums in self.rows.items() if key.kind is kind) // memory_mb


def snapped(**changes: Any) -> FunctionVersion:
    return function_version(**{"version": "1", "snap_start": True, "last_modified": STARTED} | changes)


async def test_provisioned_concurrency_is_in_the_rows_of_its_version() -> None:
    kit = Kit()
    kit.wanted = {"d": Wanted(function_version(version="3", memory_mb=1024), 2, STARTED)}
    await kit.look_for(540)
    (key,) = {key._replace(start_ms=0) for key in kit.rows}
    assert (key.account, key.function, key.version, key.kind) == (ACCOUNT, "thumbnail", "3", Kind.ALLOCATED)
    assert kit.billed_ms(Kind.ALLOCATED, 1024) == 2 * 2 * STEP_MS
    kit.wanted = {}
    await kit.look_for(900)
    assert kit.billed_ms(Kind.ALLOCATED, 1024) == 2 * 2 * STEP_MS
    assert kit.standing._paid == {}


async def test_a_snapshot_is_billed_while_it_is_kept() -> None:
    kit = Kit()
    kit.snapshots = [snapped()]
    await kit.look_for(0)
    assert kit.billed_ms(Kind.CACHED) == LEAST_CACHED_MS
    await kit.look_for(4 * 3600)
    assert kit.billed_ms(Kind.CACHED) == 4 * HOUR_MS
    kit.snapshots = []
    await kit.look_for(3600)
    assert kit.billed_ms(Kind.CACHED) == 4 * HOUR_MS


@pytest.mark.parametrize("free", [{"runtime": "java21"}, {"snap_start": False, "fork_latest": True}])
async def test_snapshots_that_aws_would_not_charge_for_are_not(free: dict[str, Any]) -> None:
    kit = Kit()
    kit.snapshots = [snapped(**free)]
    await kit.look_for(600)
    assert kit.rows == {}


@pytest.mark.parametrize(("hours_before", "billed_after_two"), [(3, 0), (5, 2)])
async def test_after_a_restart_the_three_hours_are_not_billed_again(hours_before: int, billed_after_two: int) -> None:
    kit = Kit(recorded={(ACCOUNT, "us-east-1", "thumbnail", "1"): hours_before * HOUR_MS * 128})
    published = datetime.fromtimestamp(STARTED.timestamp() - (3600 if hours_before == 3 else 86_400), UTC)
    kit.snapshots = [snapped(last_modified=published)]
    await kit.look_for(2 * 3600)
    assert kit.billed_ms(Kind.CACHED) == billed_after_two * HOUR_MS


async def test_after_a_restart_steps_that_were_paid_for_are_not_billed_again() -> None:
    before = {(ACCOUNT, "us-east-1", "thumbnail", "3"): [(NOVEMBER_MS - 120_000, 2 * STEP_MS * 128)]}
    kit = Kit(allocated=before)
    kit.wanted = {"d": Wanted(function_version(version="3"), 3, STARTED)}
    await kit.look_for(120)
    assert kit.billed_ms(Kind.ALLOCATED) == STEP_MS
    await kit.look_for(120)
    assert kit.billed_ms(Kind.ALLOCATED) == 3 * STEP_MS
