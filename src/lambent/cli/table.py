"""Rows as aligned text."""

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]], *, gap: int = 2) -> list[str]:
    """Lines whose columns begin under each other; the last column is not padded. All rows have the same length."""
    if not rows:
        return []
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    return [
        (" " * gap).join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in rows
    ]


def right_aligned(rows: Sequence[Sequence[str]], *, gap: int = 2) -> list[str]:
    """The same with columns that end under each other, for numbers; the first one is a name, and begins."""
    if not rows:
        return []
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        (" " * gap)
        .join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))])
        .rstrip()
        for row in rows
    ]
