"""The table: a row per measure, our value against its target, and each floor and peer with the ratio to ours."""

from collections.abc import Sequence

from benchmarks import measures as m
from benchmarks.conditions import Conditions
from benchmarks.measures import Measure
from benchmarks.samples import Results


def rows(results: Results, others: Sequence[str]) -> list[list[str]]:
    """Header first. In brackets: ours divided by theirs."""
    present = [other for other in others if any(subject == other for _measure, subject in results.samples)]
    table = [["measure", "target", m.LAMBENT, "", *present]]
    for measure in m.ALL:
        ours = results.median(measure.name, m.LAMBENT)
        cells = [_beside(results, measure, other) for other in present]
        if ours is None and not any(cells):
            continue
        table.append(
            [f"{measure.name} ({measure.unit})", _target(measure), _number(ours), _verdict(measure, ours), *cells]
        )
    return table


def show(results: Results, others: Sequence[str], conditions: Conditions) -> None:
    """Print as Markdown, aligned so that a terminal shows it as well."""
    table = rows(results, others)
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    table.insert(1, ["-" * width for width in widths])
    for row in table:
        # Words to the left, numbers to the right.
        cells = [
            cell.ljust(width) if index in (0, 3) else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print(f"| {' | '.join(cells)} |")
    print()
    for line in notes(results, conditions):
        print(line)


def notes(results: Results, conditions: Conditions) -> list[str]:
    generator = results.median("load generator CPU, 8 clients", m.LAMBENT)
    return [
        f"{conditions.date}; {conditions.cores} x {conditions.cpu}; {conditions.kernel}; {conditions.python}; "
        f"load average before {conditions.load_average}",
        "In brackets: Lambent divided by it. Medians over all rounds; floors and peers ran between the rounds.",
        *([f"The load generator took {generator:.0f} % of a core at 8 clients."] if generator is not None else []),
        *(f"{remark}." for remark in results.remarks),
        *(f"Not measured: {name}: {why}" for name, why in results.absent.items()),
    ]


def _beside(results: Results, measure: Measure, other: str) -> str:
    theirs = results.median(measure.name, other)
    if theirs is None:
        return ""
    ratio = results.ratio(measure.name, m.LAMBENT, other)
    return _number(theirs) if ratio is None else f"{_number(theirs)} ({ratio:.2f})"


def _target(measure: Measure) -> str:
    if measure.target is None:
        return ""
    return f"{'>=' if measure.more_is_better else '<='} {measure.target:g}"


def _verdict(measure: Measure, value: float | None) -> str:
    met = measure.meets(value) if value is not None else None
    return "" if met is None else "met" if met else "MISSED"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.3f}"
