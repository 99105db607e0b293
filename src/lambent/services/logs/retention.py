"""How long events stay: the policy of a group, the default, and the share of the disk. Decisions only."""

from dataclasses import dataclass

RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
"""What PutRetentionPolicy takes."""
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Retention:
    default_days: int | None = 30
    """For groups without a policy, which AWS keeps for ever; None does so too, within `disk_bytes`."""
    disk_bytes: int = 1 << 30
    """What all chunks together may take; beyond it the oldest go first."""

    def expired_before_ms(self, retention_days: int | None, now_ms: int) -> int:
        """Events before this time are gone; 0 when none are."""
        days = self.default_days if retention_days is None else retention_days
        return 0 if days is None else max(0, now_ms - days * DAY_MS)

    def excess_bytes(self, used_bytes: int) -> int:
        """How much to delete: nothing up to the cap, then down to nine tenths of it."""
        return 0 if used_bytes <= self.disk_bytes else used_bytes - self.disk_bytes * 9 // 10
