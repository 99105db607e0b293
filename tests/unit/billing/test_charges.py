"""Bills that were worked out by hand, with the list prices of us-east-1."""

from decimal import Decimal
from typing import Any

import pytest

from lambent.billing import prices
from lambent.billing.charges import Bill, Item, bill, tiered
from lambent.billing.rows import Kind, Sums

D = Decimal
BILLION = 1_000_000_000
GB_S = 1024 * 1000
"""MB-ms of a GB-second."""
GB = 1024**3


def item(
    group: str = "f",
    *,
    region: str = "us-east-1",
    architecture: str = "x86_64",
    kind: Any = Kind.ON_DEMAND,
    **sums: int,
) -> Item:
    return Item(group, region, architecture, kind, Sums(**sums))


def of(*items: Item, table: str = "", free: bool | None = None) -> Bill:
    return bill(items, prices.load(table), free=free)


def test_three_million_requests_of_120_ms_at_1536_mb() -> None:
    # 3,000,000 x 0.12 s x 1.5 GB = 540,000 GB-s. Requests 3 x 0.20 = 0.60; duration 540,000 x 0.0000166667 = 9.000018.
    # Free: 1 M requests = 0.20; 400,000 GB-s x 0.0000166667 = 6.66668. Total 0.40 + 140,000 x 0.0000166667 = 2.733338.
    found = of(item(invocations=3_000_000, requests=3_000_000, memory_mb_ms=3_000_000 * 120 * 1536))
    line = found.groups["f"]
    assert line.gb_seconds == 540_000
    assert (line.charges.requests, line.charges.duration) == (D("0.60"), D("9.000018"))
    assert line.charges.total == D("9.600018")
    assert (found.free.requests, found.free.duration) == (D("0.20"), D("6.66668"))
    assert found.total == D("2.733338")


def test_the_same_on_arm() -> None:
    # Duration 540,000 x 0.0000133334 = 7.200036; free 400,000 x 0.0000133334 = 5.33336.
    found = of(item(architecture="arm64", requests=3_000_000, memory_mb_ms=3_000_000 * 120 * 1536))
    assert found.all.charges.duration == D("7.200036")
    assert found.total == D("0.40") + D("7.200036") - D("5.33336")


def test_a_month_within_the_free_tier_costs_nothing() -> None:
    # 1,000,000 requests of 400 ms at 1,024 MB are 400,000 GB-s.
    found = of(item(requests=1_000_000, memory_mb_ms=400_000 * GB_S))
    assert found.all.charges.total == D("0.20") + D("6.66668")
    assert found.total == 0


def test_the_free_tier_can_be_switched_off() -> None:
    one = item(requests=1, memory_mb_ms=GB_S)
    expected = D("0.0000002") + D("0.0000166667")
    assert of(one, table="free.enabled = false").total == expected
    assert of(one, free=False).total == expected
    assert of(one).total == 0


def test_one_millisecond_at_128_mb() -> None:
    # 0.001 s x 0.125 GB x 0.0000166667 = 0.0000000020833375, and one request 0.0000002.
    assert of(item(requests=1, memory_mb_ms=128), free=False).total == D("0.0000002020833375")


def test_seven_billion_gb_seconds_reach_the_second_tier() -> None:
    # 6 B x 0.0000166667 = 100,000.20; 1 B x 0.000015 = 15,000. Sum 115,000.20.
    found = of(item(memory_mb_ms=7 * BILLION * GB_S), free=False)
    assert found.total == D("115000.20")


def test_twenty_billion_gb_seconds_reach_the_third_tier() -> None:
    # 6 B: 100,000.20; next 9 B x 0.000015 = 135,000; last 5 B x 0.0000133334 = 66,667. Sum 301,667.20.
    assert of(item(memory_mb_ms=20 * BILLION * GB_S), free=False).total == D("301667.20")


def test_twenty_billion_gb_seconds_on_arm() -> None:
    # 7.5 B x 0.0000133334 = 100,000.50; 11.25 B x 0.0000120001 = 135,001.125; 1.25 B x 0.0000106667 = 13,333.375.
    arm = item(architecture="arm64", memory_mb_ms=20 * BILLION * GB_S)
    assert of(arm, free=False).total == D("248335.000")


def test_functions_share_the_tiers_of_their_account() -> None:
    # 8 B together: 100,000.20 + 2 B x 0.000015 = 130,000.20; a quarter of it is 32,500.05.
    found = of(item("a", memory_mb_ms=2 * BILLION * GB_S), item("b", memory_mb_ms=6 * BILLION * GB_S), free=False)
    assert found.groups["a"].charges.duration == D("32500.05")
    assert found.groups["b"].charges.duration == D("97500.15")


def test_tiers_are_of_each_region_and_architecture() -> None:
    six = 6 * BILLION * GB_S
    found = of(item(memory_mb_ms=six), item(region="eu-west-1", memory_mb_ms=six), free=False)
    assert found.total == 2 * D("100000.20")


def test_the_free_tier_goes_to_the_dearest_first() -> None:
    # 300,000 GB-s on x86 are free as a whole, 100,000 of the 200,000 on arm: 100,000 x 0.0000133334 stay.
    found = of(item(memory_mb_ms=300_000 * GB_S), item(architecture="arm64", memory_mb_ms=200_000 * GB_S))
    assert found.total == D("1.33334")


def test_storage_above_512_mb() -> None:
    # 10,240 MB for 100 s: 9,728 MB = 9.5 GB x 100 s x 0.0000000309 = 0.000029355.
    found = of(item(storage_mb_ms=100_000 * (10_240 - 512)), free=False)
    assert found.groups["f"].charges.storage == D("0.000029355")


def test_streaming_beyond_six_megabytes_and_its_free_tier() -> None:
    # 150 GB x 0.008 = 1.20; 100 GB are free: 0.40 stays.
    found = of(item(streamed_bytes=150 * GB))
    assert (found.all.charges.streaming, found.total) == (D("1.200"), D("0.400"))


def test_provisioned_concurrency_has_two_prices_and_no_free_tier() -> None:
    # 100 x 1 GB for an hour: 360,000 x 0.0000041667 = 1.500012. 1,000 runs of 1 s: 1,000 x 0.0000097222 = 0.0097222.
    # Requests 1,000 x 0.0000002 = 0.0002.
    found = of(
        item(kind=Kind.ALLOCATED, memory_mb_ms=360_000 * GB_S),
        item(kind=Kind.PROVISIONED, requests=1000, memory_mb_ms=1000 * GB_S),
    )
    line = found.groups["f"]
    assert line.charges.provisioned == D("1.500012") + D("0.0097222")
    assert line.charges.duration == 0
    assert line.gb_seconds == 1000
    assert found.total == D("1.500012") + D("0.0097222") + D("0.0002")


def test_provisioned_concurrency_on_arm() -> None:
    # 360,000 x 0.0000033334 = 1.200024; 1,000 x 0.0000077778 = 0.0077778.
    found = of(
        item(architecture="arm64", kind=Kind.ALLOCATED, memory_mb_ms=360_000 * GB_S),
        item(architecture="arm64", kind=Kind.PROVISIONED, memory_mb_ms=1000 * GB_S),
    )
    assert found.total == D("1.200024") + D("0.0077778")


def test_snapstart_is_cache_and_restores() -> None:
    # A snapshot of 1 GB for three hours: 10,800 x 0.0000015046 = 0.01624968. 1,000 restores x 0.0001397998 = 0.1397998.
    found = of(item(kind=Kind.CACHED, memory_mb_ms=10_800 * GB_S), item(restored_mb=1000 * 1024))
    assert found.groups["f"].charges.snapstart == D("0.01624968") + D("0.1397998")


def test_environments_of_tenants() -> None:
    # 1,000 environments of 512 MB: 500 GB x 0.000166667 = 0.0833335; on arm 500 x 0.000133333 = 0.0666665.
    assert of(item(tenant_mb=1000 * 512)).groups["f"].charges.tenants == D("0.0833335")
    assert of(item(architecture="arm64", tenant_mb=1000 * 512)).total == D("0.0666665")


def test_regions_have_prices_of_their_own() -> None:
    # Milan: 0.23 and 400,000 x 0.0000195172 = 7.80688. Frankfurt, provisioned: 300 s x 0.0000050147 = 0.00150441.
    assert of(item(region="eu-south-1", requests=1_000_000, memory_mb_ms=400_000 * GB_S), free=False).total == D(
        "8.03688"
    )
    assert of(item(region="eu-central-1", kind=Kind.ALLOCATED, memory_mb_ms=300 * GB_S)).total == D("0.00150441")
    # Cape Town, second tier: 6 B x 0.0000221 = 132,600; 1 B x 0.00001989 = 19,890.
    assert of(item(region="af-south-1", memory_mb_ms=7 * BILLION * GB_S), free=False).total == D("152490")


def test_an_event_of_one_megabyte_is_thirteen_requests() -> None:
    # 1 for 256 KB and 12 for the 768 KB beyond: 13 x 0.0000002 = 0.0000026.
    assert of(item(invocations=1, requests=13), free=False).total == D("0.0000026")


def test_a_region_of_the_table_has_its_own_prices_and_the_others_the_default() -> None:
    table = "[regions.mx-central-1]\nrequest = 0.00000023\nx86_64.gb_second = 0.0000195172"
    found = of(
        item("a", requests=1_000_000, memory_mb_ms=GB_S),
        item("b", region="mx-central-1", requests=1_000_000, memory_mb_ms=GB_S),
        table=table,
        free=False,
    )
    assert found.groups["a"].charges.total == D("0.20") + D("0.0000166667")
    assert found.groups["b"].charges.total == D("0.23") + D("0.0000195172")


@pytest.mark.parametrize(("amount", "cost"), [(0, 0), (1, 2), (10, 20), (11, 21), (20, 30), (25, D("32.5"))])
def test_tiers_are_filled_one_after_the_other(amount: int, cost: int) -> None:
    tiers = prices.Tier(D(10), D(2)), prices.Tier(D(20), D(1)), prices.Tier(None, D("0.5"))
    assert tiered(D(amount), tiers) == cost
