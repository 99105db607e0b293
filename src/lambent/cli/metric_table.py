"""Metrics by minute as a table with one line for each, for the subcommands that show some."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from lambent.cli.table import aligned

_COLUMNS: Final = ("METRIC", "SUM", "AVERAGE", "MINIMUM", "MAXIMUM", "SAMPLES")


def show_metrics(found: Sequence[Mapping[str, Any]], as_json: bool, units: str) -> None:
    """`units`: what to say of the numbers that are no counts."""
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif not found:
        click.echo("nothing was counted in the last three hours")
    else:
        for line in aligned([_COLUMNS, *map(_row, found)]):
            click.echo(line)
        click.echo(f"{units}, since the server started and of three hours at most")


def _row(metric: Mapping[str, Any]) -> tuple[str, ...]:
    points = metric["Datapoints"]
    samples, total = sum(point["SampleCount"] for point in points), sum(point["Sum"] for point in points)
    least, most = min(point["Minimum"] for point in points), max(point["Maximum"] for point in points)
    # The sum of a level or of times says nothing.
    numbers = (total if _is_counted(metric) else None, total / samples, least, most)
    return metric["MetricName"], *("-" if each is None else f"{each:.6g}" for each in numbers), str(samples)


def _is_counted(metric: Mapping[str, Any]) -> bool:
    name = metric["MetricName"]
    level = name.endswith(("Executions", "ProvisionedPollers")) or name.startswith("Approximate")
    return metric["Unit"] == "Count" and not level
