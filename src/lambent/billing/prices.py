"""What AWS charges: a table of prices by region and architecture, read from TOML, and the free tier.

Owns the form of the table (`prices.toml` is the default) and refuses what it does not know: a misspelt price would be
a wrong bill. US dollars, exactly: a float of the file is read as the decimal that is written there.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Final

FREE_EPHEMERAL_MB: Final = 512
ARCHITECTURES: Final = ("x86_64", "arm64")
MB_PER_GB: Final = 1024
MS_PER_S: Final = 1000
ZERO: Final = Decimal(0)
_DEFAULT: Final = Path(__file__).with_name("prices.toml")


class PricesError(ValueError):
    """A table that cannot be used. The message is for the user and names the key."""


@dataclass(frozen=True, slots=True)
class Tier:
    up_to: Decimal | None
    """GB-seconds of a month; None: all the rest."""
    price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchitecturePrices:
    gb_second: tuple[Tier, ...]
    provisioned_gb_second: Decimal
    provisioned_run_gb_second: Decimal
    tenant_environment_gb: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionPrices:
    """US dollars."""

    request: Decimal
    ephemeral_gb_second: Decimal
    """Of /tmp above 512 MB."""
    streamed_gb: Decimal
    architectures: Mapping[str, ArchitecturePrices]
    cache_gb_second: Decimal
    restore_gb: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeTier:
    enabled: bool
    requests: Decimal
    gb_seconds: Decimal
    streamed_gb: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    free: FreeTier
    default: RegionPrices
    regions: Mapping[str, RegionPrices] = field(default_factory=dict)
    snapstart_runtimes: tuple[str, ...] = ()

    def of(self, region: str) -> RegionPrices:
        return self.regions.get(region, self.default)

    def charges_snapshots(self, runtime: str) -> bool:
        """Whether SnapStart costs something for the runtime."""
        return runtime.startswith(self.snapstart_runtimes)


@cache
def default() -> Prices:
    return parse(_default_table())


def load(text: str) -> Prices:
    """The default table with what `text`, TOML of the same form, has instead. Raises PricesError."""
    try:
        changes = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise PricesError(f"not TOML: {error}") from None
    return parse(_laid_over(_default_table(), changes))


def parse(table: Mapping[str, Any]) -> Prices:
    _only(table, ("free", "default", "regions"), "")
    free = _table(table.get("free"), "free")
    _only(free, ("enabled", "requests", "gb_seconds", "streamed_gb"), "free")
    if not isinstance(free.get("enabled"), bool):
        raise PricesError("free.enabled must be true or false")
    default = _table(table.get("default"), "default")
    regions = _table(table.get("regions", {}), "regions")
    runtimes = _table(default.get("snapstart"), "default.snapstart").get("runtimes")
    if not isinstance(runtimes, list) or not all(isinstance(each, str) and each for each in runtimes):
        raise PricesError("default.snapstart.runtimes must be a list of texts")
    return Prices(
        free=FreeTier(
            enabled=free["enabled"],
            requests=_number(free, "requests", "free"),
            gb_seconds=_number(free, "gb_seconds", "free"),
            streamed_gb=_number(free, "streamed_gb", "free"),
        ),
        default=_region(default, "default"),
        regions={
            name: _region(_laid_over(default, _table(own, f"regions.{name}")), f"regions.{name}")
            for name, own in regions.items()
        },
        snapstart_runtimes=tuple(runtimes),
    )


def _default_table() -> dict[str, Any]:
    return tomllib.loads(_DEFAULT.read_text(encoding="utf-8"), parse_float=Decimal)


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Tables are mixed, everything else is replaced."""
    mixed = dict(below)
    for key, value in above.items():
        own = mixed.get(key)
        mixed[key] = _laid_over(own, value) if isinstance(own, dict) and isinstance(value, dict) else value
    return mixed


def _region(table: Mapping[str, Any], place: str) -> RegionPrices:
    single = ("request", "ephemeral_gb_second", "streamed_gb")
    own_prices = ("provisioned_gb_second", "provisioned_run_gb_second", "tenant_environment_gb")
    _only(table, (*single, *ARCHITECTURES, "snapstart"), place)
    snapstart = _table(table.get("snapstart"), f"{place}.snapstart")
    _only(snapstart, ("runtimes", "cache_gb_second", "restore_gb"), f"{place}.snapstart")
    architectures = {}
    for name in ARCHITECTURES:
        inside = f"{place}.{name}"
        own = _table(table.get(name), inside)
        _only(own, ("gb_second", *own_prices), inside)
        architectures[name] = ArchitecturePrices(
            gb_second=_tiers(own.get("gb_second"), f"{inside}.gb_second"),
            **{key: _number(own, key, inside) for key in own_prices},
        )
    return RegionPrices(
        **{key: _number(table, key, place) for key in single},
        architectures=architectures,
        cache_gb_second=_number(snapstart, "cache_gb_second", f"{place}.snapstart"),
        restore_gb=_number(snapstart, "restore_gb", f"{place}.snapstart"),
    )


def _tiers(value: object, place: str) -> tuple[Tier, ...]:
    """One price, or tiers with growing limits of which the last has none."""
    if not isinstance(value, list):
        return (Tier(None, _number({"": value}, "", place)),)
    tiers = []
    for number, each in enumerate(value):
        own = _table(each, f"{place}[{number}]")
        _only(own, ("up_to", "price"), f"{place}[{number}]")
        up_to = _number(own, "up_to", place) if "up_to" in own else None
        tiers.append(Tier(up_to, _number(own, "price", place)))
    limits = [tier.up_to for tier in tiers]
    known = [limit for limit in limits if limit is not None]
    if not tiers or limits[-1] is not None or len(known) != len(tiers) - 1 or known != sorted(set(known)):
        raise PricesError(f"{place} must be tiers whose up_to grows, the last of them without one")
    return tuple(tiers)


def _table(value: object, place: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise PricesError(f"{place} must be a table")
    return value


def _only(table: Mapping[str, Any], known: Sequence[str], place: str) -> None:
    for key in table:
        if key not in known:
            named = f"{place}.{key}" if place else key
            raise PricesError(f"unknown key '{named}' (known: {', '.join(known)})")


def _number(table: Mapping[str, Any], key: str, place: str) -> Decimal:
    value = table.get(key)
    named = f"{place}.{key}".strip(".")
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise PricesError(f"{named} must be a number, not {value!r}")
    number = Decimal(value)
    if not number.is_finite() or number < 0:
        raise PricesError(f"{named} must be 0 or more, not {value}")
    return number


def cost(
    *,
    duration_ms: int,
    memory_mb: int,
    architecture: str = "x86_64",
    ephemeral_mb: int = FREE_EPHEMERAL_MB,
    requests: int = 1,
    prices: RegionPrices | None = None,
) -> Decimal:
    """US dollars for `requests` invocations that were billed `duration_ms` in sum, Init included; the first tier."""
    prices = prices or default().default
    seconds = Decimal(duration_ms) / MS_PER_S
    memory = seconds * memory_mb / MB_PER_GB * prices.architectures[architecture].gb_second[0].price
    storage_mb = max(0, ephemeral_mb - FREE_EPHEMERAL_MB)
    storage = seconds * storage_mb / MB_PER_GB * prices.ephemeral_gb_second
    return memory + storage + requests * prices.request
