"""Spans of time as people write and read them: `2m`, `1h30m`, `1 h 30 min`."""

import re
from typing import Final

import click

UNITS_S: Final = {"w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1}
_PARTS: Final = re.compile(r"(?:[0-9]{1,9}(?:\.[0-9]{1,3})?[wdhms])+")
_PART: Final = re.compile(r"([0-9.]+)([wdhms])")


class Duration(click.ParamType[float]):
    """Seconds of `45s`, `2m`, `1h30m`, `7d`; a plain number is refused, since nobody knows its unit."""

    name = "duration"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        if value.startswith("-"):
            self.fail("time does not go back", param, ctx)
        if not _PARTS.fullmatch(value):
            self.fail(f"'{value}' is no time such as 45s, 2m, 1h30m or 7d", param, ctx)
        return sum(float(number) * UNITS_S[unit] for number, unit in _PART.findall(value))


def short(seconds: float) -> str:
    """The two largest units: `42 s`, `2 min`, `1 h 30 min`, `3 d 4 h`."""
    rest = max(0, round(seconds))
    words = []
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        number, rest = divmod(rest, size)
        words.append((number, unit))
    first = next((place for place, (number, _) in enumerate(words) if number), len(words) - 1)
    return " ".join(f"{number} {unit}" for number, unit in words[first : first + 2] if number) or "0 s"
