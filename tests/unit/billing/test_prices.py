"""What an invocation would have cost."""

from decimal import Decimal

import pytest

from lambent.billing.prices import PricesError, Tier, cost, default, load


def test_a_million_requests_cost_twenty_cents() -> None:
    assert cost(duration_ms=0, memory_mb=128, requests=1_000_000) == Decimal("0.20")


def test_a_gigabyte_second_has_the_price_of_its_architecture() -> None:
    assert cost(duration_ms=1000, memory_mb=1024, requests=0) == Decimal("0.0000166667")
    assert cost(duration_ms=1000, memory_mb=1024, architecture="arm64", requests=0) == Decimal("0.0000133334")


def test_only_storage_above_512_mb_costs() -> None:
    base = cost(duration_ms=1000, memory_mb=1024)
    assert cost(duration_ms=1000, memory_mb=1024, ephemeral_mb=512) == base
    assert cost(duration_ms=1000, memory_mb=1024, ephemeral_mb=512 + 1024) == base + Decimal("0.0000000309")


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ("[default]\nrequets = 1", r"unknown key 'default.requets' \(known: request, "),
        ("[default]\nrequest = '0.2'", "default.request must be a number, not '0.2'"),
        ("[default]\nrequest = -1", "default.request must be 0 or more, not -1"),
        ("[default]\nrequest = inf", "default.request must be 0 or more, not Infinity"),
        ("[default.x86_64]\ngb_second = []", "default.x86_64.gb_second must be tiers"),
        ("[default.x86_64]\ngb_second = [{up_to = 2, price = 1}]", "the last of them without one"),
        (
            "[default.x86_64]\ngb_second = [{up_to=2,price=1},{up_to=1,price=1},{price=1}]",
            "must be tiers whose up_to grows",
        ),
        ("[regions.eu-south-1.arm64]\nfoo = 1", "unknown key 'regions.eu-south-1.arm64.foo'"),
        ("[regions]\neu-south-1 = 3", "regions.eu-south-1 must be a table"),
        ("free.enabled = 1", "free.enabled must be true or false"),
        ("free = ", "not TOML"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_by_name(table: str, complaint: str) -> None:
    with pytest.raises(PricesError, match=complaint):
        load(table)


def test_a_table_of_ones_own_changes_what_it_names_and_nothing_else() -> None:
    table = load("[default.arm64]\ngb_second = 0.1\n[regions.mx-central-1]\nrequest = 0.00000023")
    assert table.default.architectures["arm64"].gb_second == (Tier(None, Decimal("0.1")),)
    assert table.default.architectures["x86_64"] == default().default.architectures["x86_64"]
    assert table.of("mx-central-1").architectures["arm64"] == table.default.architectures["arm64"]
    assert (table.of("mx-central-1").request, table.of("eu-west-1").request) == (
        Decimal("0.00000023"),
        Decimal("0.0000002"),
    )


def test_snapstart_costs_for_the_runtimes_of_the_table() -> None:
    charged = [default().charges_snapshots(runtime) for runtime in ("python3.13", "dotnet8", "java21", "nodejs22.x")]
    assert charged == [True, True, False, False]
