"""How often invocations may begin: ten times the concurrency of the pool they come from, in each second."""

from collections import Counter
from dataclasses import dataclass, field

import pytest

from lambent.aws.errors import ApiError
from lambent.invocation.concurrency import (
    ACCOUNT_FULL,
    ACCOUNT_RATE,
    RESERVED_FULL,
    RESERVED_RATE,
    Concurrency,
)
from lambent.invocation.gauges import Gauges
from lambent.invocation.leases import Kind
from lambent.invocation.metrics import Metrics
from lambent.testing.manual_clock import ManualClock
from tests.unit.environments.kit import function_version

PLACE = ("000000000000", "us-east-1")


@dataclass
class Table:
    numbers: dict[str, int] = field(default_factory=dict)
    versions: dict[str, dict[str, int]] = field(default_factory=dict)

    def reserved(self, account: str, region: str) -> dict[str, int]:
        return self.numbers

    def provisioned(self, account: str, region: str) -> dict[str, dict[str, int]]:
        return self.versions


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def quick(concurrency: Concurrency, times: int, name: str = "f", version: str = "1", **options: Kind) -> Counter[str]:
    """So many invocations that take no time: by how they were refused, "" for those that were not."""
    outcomes: Counter[str] = Counter()
    for _ in range(times):
        try:
            concurrency.lease(function_version(name=name, version=version), **options).release()
        except ApiError as error:
            outcomes[error.members["Reason"]] += 1
        else:
            outcomes[""] += 1
    return outcomes


def test_a_refusal_is_told_in_the_words_of_lambda() -> None:
    with pytest.raises(ApiError) as refused:
        Concurrency(0).lease(function_version())
    assert (refused.value.code, refused.value.message) == ("TooManyRequestsException", "Rate Exceeded.")
    assert refused.value.members == {"Reason": ACCOUNT_FULL, "Type": "User"}
    assert refused.value.headers == {"Retry-After": "1"}


async def test_an_account_begins_ten_times_its_concurrency_in_a_second(clock: ManualClock) -> None:
    concurrency = Concurrency(5, clock=clock)
    assert quick(concurrency, 30, "f") + quick(concurrency, 30, "g") == {"": 50, ACCOUNT_RATE: 10}
    await clock.advance(0.1)
    assert quick(concurrency, 10) == {"": 5, ACCOUNT_RATE: 5}
    await clock.advance(60)
    assert quick(concurrency, 60) == {"": 50, ACCOUNT_RATE: 10}
    assert concurrency.refused == {ACCOUNT_RATE: 25}


async def test_a_reservation_has_a_rate_of_its_own(clock: ManualClock) -> None:
    concurrency = Concurrency(100, Table({"f": 2}), clock=clock)
    assert quick(concurrency, 25, "f") == {"": 20, RESERVED_RATE: 5}
    assert quick(concurrency, 1000, "g") == {"": 1000}
    await clock.advance(0.5)
    assert quick(concurrency, 25, "f") == {"": 10, RESERVED_RATE: 15}


def test_what_comes_too_fast_for_provisioned_concurrency_spills_over(clock: ManualClock) -> None:
    concurrency = Concurrency(20, Table({}, {"f": {"1": 2}}), clock=clock)
    version = function_version(name="f", version="1")
    kinds: Counter[bool] = Counter()
    for _ in range(30):
        lease = concurrency.lease(version)
        kinds[lease.spilled] += 1
        lease.release()
    assert kinds == {False: 20, True: 10}
    assert quick(concurrency, 200) == {"": 190, ACCOUNT_RATE: 10}


def test_where_nothing_is_left_to_spill_into_the_rate_is_the_reason(clock: ManualClock) -> None:
    concurrency = Concurrency(20, Table({"f": 1}, {"f": {"1": 1}}), clock=clock)
    assert quick(concurrency, 12) == {"": 10, RESERVED_RATE: 2}
    assert quick(concurrency, 1, version="$LATEST") == {RESERVED_FULL: 1}


def test_events_have_no_rate_but_their_concurrency(clock: ManualClock) -> None:
    concurrency = Concurrency(1, Table({"off": 0}), clock=clock)
    assert quick(concurrency, 100, kind=Kind.EVENT) == {"": 100}
    assert quick(concurrency, 1, "off", kind=Kind.EVENT) == {RESERVED_FULL: 1}
    lease = concurrency.lease(function_version(), kind=Kind.EVENT)
    assert quick(concurrency, 1, kind=Kind.EVENT) == {ACCOUNT_FULL: 1}
    lease.release()


def test_who_is_refused_takes_nothing_of_the_rate(clock: ManualClock) -> None:
    concurrency = Concurrency(1, clock=clock)
    lease = concurrency.lease(function_version())
    assert quick(concurrency, 50) == {ACCOUNT_FULL: 50}
    lease.release()
    assert quick(concurrency, 10) == {"": 9, ACCOUNT_RATE: 1}


def test_rates_can_be_turned_off(clock: ManualClock) -> None:
    concurrency = Concurrency(2, Table({"f": 1}, {"g": {"1": 1}}), clock=clock, rate=0)
    assert quick(concurrency, 100, "f") == {"": 100}
    assert quick(concurrency, 100, "g") == {"": 100}


async def test_buckets_of_functions_that_rest_are_not_kept(clock: ManualClock) -> None:
    table = Table({str(number): 1 for number in range(5000)})
    concurrency = Concurrency(10_000, table, clock=clock)
    for number in range(5000):
        quick(concurrency, 1, str(number))
        if not number % 500:
            await clock.advance(1)
    assert len(concurrency._held[PLACE].rates) < 2100


def test_levels_tell_what_is_claimed_of_the_account(clock: ManualClock) -> None:
    concurrency = Concurrency(100, Table({"reserved": 10}, {"f": {"1": 5}, "reserved": {"1": 2}}), clock=clock)
    metrics = Metrics(clock)
    versions = [("reserved", "1"), ("reserved", "$LATEST"), ("f", "1"), ("f", "1"), ("f", "$LATEST"), ("g", "$LATEST")]
    for name, version in versions:
        concurrency.lease(function_version(name=name, version=version))
    Gauges(concurrency, metrics, clock).take_now()
    totals = {name: value.max for name, value in metrics.totals().items()}
    assert totals == {
        "ConcurrentExecutions": 6,
        "UnreservedConcurrentExecutions": 4,
        "ClaimedAccountConcurrency": 10 + 5 + 2,
        "ProvisionedConcurrentExecutions": 2,
        "ProvisionedConcurrencyUtilization": 0.5,
    }
