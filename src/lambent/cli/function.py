"""`lambent function list | show`: what is deployed."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import click

from lambent.cli import options
from lambent.cli.client import Client
from lambent.cli.metric_table import show_metrics
from lambent.cli.table import aligned

FUNCTIONS = "/2015-03-31/functions/"
COLD_START_COLUMNS = ("TIME (UTC)", "VERSION", "HOW", "TOTAL", "QUEUED", "SANDBOX", "RUNTIME", "INIT", "HANDLER", "WHY")


@click.group()
def function() -> None:
    """List functions, or show one."""


@function.command("list")
@options.as_json
@options.endpoint
def list_functions(as_json: bool, endpoint: str | None) -> None:
    """List the functions of this account and region."""
    found = every_function(Client.choose(endpoint))
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif not found:
        click.echo("no functions yet; try: lambent demo, or create one with any AWS client (see: lambent env)")
    else:
        for line in aligned([("NAME", "RUNTIME", "MEMORY", "TIMEOUT", "MODIFIED"), *map(_row, found)]):
            click.echo(line)


@function.command("show")
@click.argument("name", type=options.FunctionName())
@click.option("--qualifier", help="Version or alias.")
@click.option("--cold-starts", is_flag=True, help="Its last cold starts instead: why, how, and what took how long.")
@click.option("--metrics", is_flag=True, help="What CloudWatch would count, of the last hours; by minute with --json.")
@click.option("--mapping", metavar="UUID", help="With --metrics: those of one event source mapping alone.")
@options.as_json
@options.endpoint
def show(
    name: str,
    qualifier: str | None,
    cold_starts: bool,
    metrics: bool,
    mapping: str | None,
    as_json: bool,
    endpoint: str | None,
) -> None:
    """Show the configuration of the function NAME (a name or an ARN)."""
    if metrics or mapping:
        _show_metrics(name, qualifier, mapping, as_json, endpoint)
        return
    if cold_starts:
        _show_cold_starts(name, qualifier, as_json, endpoint)
        return
    query = {"Qualifier": qualifier} if qualifier else None
    found = Client.choose(endpoint).get(f"{FUNCTIONS}{quote(name, safe='')}/configuration", query)
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for line in aligned([(key, _text(value)) for key, value in found.items() if value not in (None, "")]):
        click.echo(line)


def _show_cold_starts(name: str, qualifier: str | None, as_json: bool, endpoint: str | None) -> None:
    query = {"FunctionName": name} | ({"Qualifier": qualifier} if qualifier else {})
    found = Client.choose(endpoint).get("/_lambent/cold-starts", query)["ColdStarts"]
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif not found:
        click.echo("no cold starts since the server started")
    else:
        for line in aligned([COLD_START_COLUMNS, *map(_cold_start_row, found)]):
            click.echo(line)
        click.echo("milliseconds; TOTAL is the wait before the handler, without it")


def _show_metrics(name: str, qualifier: str | None, mapping: str | None, as_json: bool, endpoint: str | None) -> None:
    named = {"FunctionName": name, "Qualifier": qualifier, "EventSourceMappingUUID": mapping}
    query = {key: value for key, value in named.items() if value}
    show_metrics(
        Client.choose(endpoint).get("/_lambent/function-metrics", query)["Metrics"], as_json, "times in milliseconds"
    )


def _cold_start_row(event: Mapping[str, Any]) -> tuple[str, ...]:
    when = datetime.fromtimestamp(event["time_ms"] / 1000, UTC)
    phases = ("total", "queued", "sandbox", "runtime", "init", "handler")
    times = ["-" if event[f"{phase}_ms"] is None else f"{event[f'{phase}_ms']:.1f}" for phase in phases]
    failed = "" if event["status"] == "success" else f" (Init: {event['status']})"
    return f"{when:%Y-%m-%d %H:%M:%S}", event["version"], event["how"], *times, event["why"] + failed


def every_function(client: Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    marker: str | None = None
    while True:
        page = client.get(FUNCTIONS, {"Marker": marker} if marker else None)
        found += page["Functions"]
        marker = page.get("NextMarker")
        if not marker:
            return found


def _row(configuration: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        configuration["FunctionName"],
        configuration.get("Runtime") or "-",
        f"{configuration.get('MemorySize', '-')} MB",
        f"{configuration.get('Timeout', '-')} s",
        str(configuration.get("LastModified", "-"))[:19],
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
