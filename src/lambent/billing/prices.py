"""What invocations would have cost on AWS: list prices of us-east-1 (its pricing page), and arithmetic on them.

Volume tiers and the free tier are the account's monthly matter and are not applied to single invocations.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

FREE_EPHEMERAL_MB = 512
_MB_PER_GB = 1024
_MS_PER_S = 1000


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars."""

    per_request: Decimal
    per_gb_second: Mapping[str, Decimal]
    """By architecture; the first tier."""
    per_ephemeral_gb_second: Decimal
    """Of /tmp above 512 MB."""


US_EAST_1 = Prices(
    per_request=Decimal("0.20") / 1_000_000,
    per_gb_second={"x86_64": Decimal("0.0000166667"), "arm64": Decimal("0.0000133334")},
    per_ephemeral_gb_second=Decimal("0.0000000309"),
)


def cost(
    *,
    duration_ms: int,
    memory_mb: int,
    architecture: str = "x86_64",
    ephemeral_mb: int = FREE_EPHEMERAL_MB,
    requests: int = 1,
    prices: Prices = US_EAST_1,
) -> Decimal:
    """US dollars for `requests` invocations that were billed `duration_ms` in sum (Init included)."""
    seconds = Decimal(duration_ms) / _MS_PER_S
    memory = seconds * memory_mb / _MB_PER_GB * prices.per_gb_second[architecture]
    storage_mb = max(0, ephemeral_mb - FREE_EPHEMERAL_MB)
    storage = seconds * storage_mb / _MB_PER_GB * prices.per_ephemeral_gb_second
    return memory + storage + requests * prices.per_request
