"""Amounts of dollars for people: cents where there are cents, else the first two digits that say something."""

from decimal import ROUND_HALF_UP, Decimal


def dollars(amount: Decimal) -> str:
    """`$2.73`, `$1,234.50`, `$0.0000002`; `-` for nothing."""
    if not amount:
        return "-"
    size = abs(amount)
    # As many places as show two digits; the power of the first one is negative below a dollar.
    places = max(2, 1 - size.adjusted())
    text = f"{size.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP):,f}"
    if places > 2:
        text = text.rstrip("0")
    return f"-${text}" if amount < 0 else f"${text}"


def share(part: Decimal, whole: Decimal) -> str:
    """`41 %`, rounded down: 100 % is only what is all."""
    return f"{int(part * 100 / whole)} %" if whole else "-"
