"""`lambent function list | show`: what is deployed."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import click

from lambent.cli import options
from lambent.cli.client import Client
from lambent.cli.table import aligned

FUNCTIONS = "/2015-03-31/functions/"


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
@options.as_json
@options.endpoint
def show(name: str, qualifier: str | None, as_json: bool, endpoint: str | None) -> None:
    """Show the configuration of the function NAME (a name or an ARN)."""
    query = {"Qualifier": qualifier} if qualifier else None
    found = Client.choose(endpoint).get(f"{FUNCTIONS}{quote(name, safe='')}/configuration", query)
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for line in aligned([(key, _text(value)) for key, value in found.items() if value is not None]):
        click.echo(line)


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
