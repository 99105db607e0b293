"""What an invocation would have cost."""

from decimal import Decimal

from lambent.billing.prices import cost


def test_a_million_requests_cost_twenty_cents() -> None:
    assert cost(duration_ms=0, memory_mb=128, requests=1_000_000) == Decimal("0.20")


def test_a_gigabyte_second_has_the_price_of_its_architecture() -> None:
    assert cost(duration_ms=1000, memory_mb=1024, requests=0) == Decimal("0.0000166667")
    assert cost(duration_ms=1000, memory_mb=1024, architecture="arm64", requests=0) == Decimal("0.0000133334")


def test_only_storage_above_512_mb_costs() -> None:
    base = cost(duration_ms=1000, memory_mb=1024)
    assert cost(duration_ms=1000, memory_mb=1024, ephemeral_mb=512) == base
    assert cost(duration_ms=1000, memory_mb=1024, ephemeral_mb=512 + 1024) == base + Decimal("0.0000000309")
