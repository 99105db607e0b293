"""Months of UTC, as a bill has them: `2026-11`. Pure."""

import re
from datetime import UTC, datetime
from typing import NamedTuple

from lambent.aws.errors import invalid_parameter

_FORM = re.compile(r"(\d{4})-(\d{2})", re.ASCII)


class Month(NamedTuple):
    year: int
    number: int

    @classmethod
    def at(cls, time_ms: int) -> "Month":
        moment = datetime.fromtimestamp(time_ms / 1000, UTC)
        return cls(moment.year, moment.month)

    @classmethod
    def parse(cls, text: str) -> "Month":
        """Raises ApiError."""
        found = _FORM.fullmatch(text)
        if found is None or not 1 <= int(found[2]) <= 12 or not 1970 <= int(found[1]) < 9999:
            raise invalid_parameter(f"'{text[:40]}' is no month; one looks like 2026-11.")
        return cls(int(found[1]), int(found[2]))

    @property
    def following(self) -> "Month":
        return Month(self.year + self.number // 12, self.number % 12 + 1)

    @property
    def begin_ms(self) -> int:
        return int(datetime(self.year, self.number, 1, tzinfo=UTC).timestamp()) * 1000

    @property
    def end_ms(self) -> int:
        return self.following.begin_ms

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.number:02d}"
