"""What the meter makes of ended invocations, before there is a price."""

from lambent.billing.meter import RollUp
from lambent.billing.prices import default
from lambent.billing.rows import OTHER_TENANTS, Kind, Sums
from lambent.environments.events import Status
from tests.unit.billing.kit import NOVEMBER_MS, key, usage
from tests.unit.environments.kit import function_version

MB = 1024 * 1024


def meter(**options: int) -> RollUp:
    return RollUp(default(), lambda: None, **options)


def test_invocations_of_one_minute_and_version_are_one_row() -> None:
    metered = meter()
    for moment in (0, 59_999):
        metered.ended(usage(100, NOVEMBER_MS + moment))
    assert metered.take() == {key(): Sums(invocations=2, requests=2, billed_ms=200, memory_mb_ms=25_600)}
    assert metered.take() == {}


def test_minutes_versions_classes_and_tenants_have_rows_of_their_own() -> None:
    metered = meter()
    metered.ended(usage())
    metered.ended(usage(time_ms=NOVEMBER_MS + 60_000))
    metered.ended(usage(version=function_version(version="1")))
    metered.ended(usage(provisioned=True))
    metered.ended(usage(tenant="blue"))
    assert set(metered.take()) == {
        key(),
        key(start_ms=NOVEMBER_MS + 60_000),
        key(version="1"),
        key(kind=Kind.PROVISIONED),
        key(tenant="blue"),
    }


def test_two_configurations_of_a_version_in_one_minute_are_added_up() -> None:
    metered = meter()
    metered.ended(usage(100, version=function_version(memory_mb=128)))
    metered.ended(usage(100, version=function_version(memory_mb=256, deployment_id="2")))
    assert metered.take()[key()].memory_mb_ms == 38_400


def test_errors_cost_as_everything_else_and_are_counted() -> None:
    metered = meter()
    for status in Status:
        metered.ended(usage(10, status=status))
    sums = metered.take()[key()]
    assert (sums.invocations, sums.requests, sums.errors, sums.billed_ms) == (4, 4, 3, 40)


def test_large_events_are_more_requests_than_invocations() -> None:
    metered = meter()
    metered.ended(usage(request_units=13))
    sums = metered.take()[key()]
    assert (sums.invocations, sums.requests) == (1, 13)


def test_only_storage_above_512_mb_is_metered() -> None:
    metered = meter()
    metered.ended(usage(1000, version=function_version(ephemeral_storage_mb=512)))
    metered.ended(usage(1000, version=function_version(ephemeral_storage_mb=1536)))
    assert metered.take()[key()].storage_mb_ms == 1000 * 1024


def test_the_first_six_megabytes_of_each_request_stream_for_nothing() -> None:
    metered = meter()
    for size in (6 * MB, 6 * MB + 1, 10 * MB):
        metered.ended(usage(streamed_bytes=size))
    assert metered.take()[key()].streamed_bytes == 4 * MB + 1


def test_restores_are_metered_where_snapstart_costs() -> None:
    metered = meter()
    charged = function_version(version="1", snap_start=True, memory_mb=512)
    metered.ended(usage(version=charged, first=True, restored=True))
    metered.ended(usage(version=charged))
    metered.ended(
        usage(version=function_version(version="2", snap_start=True, runtime="java21"), first=True, restored=True)
    )
    metered.ended(usage(version=function_version(version="3", fork_latest=True), first=True, restored=True))
    rows = metered.take()
    assert [rows[key(version=number)].restored_mb for number in "123"] == [512, 0, 0]


def test_environments_of_tenants_are_metered_by_their_memory() -> None:
    metered = meter()
    metered.ended(usage(tenant="blue", first=True))
    metered.ended(usage(tenant="blue"))
    metered.ended(usage(first=True))
    rows = metered.take()
    assert (rows[key(tenant="blue")].tenant_mb, rows[key()].tenant_mb) == (128, 0)


def test_a_flood_of_tenants_shares_a_row_and_nothing_is_lost() -> None:
    metered = meter(most_sums=10)
    for number in range(1000):
        metered.ended(usage(1, tenant=f"tenant-{number}"))
    rows = metered.take()
    assert len(rows) == 11
    assert rows[key(tenant=OTHER_TENANTS)].invocations == 990
    assert sum(sums.invocations for sums in rows.values()) == 1000
