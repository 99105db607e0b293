"""`lambent layer list | publish`: layers of this account and region, and a folder as a new version of one."""

import base64
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from lambent.cli import options
from lambent.cli.client import Client
from lambent.cli.failure import USAGE, Failure
from lambent.cli.table import aligned
from lambent.packaging import archive
from lambent.packaging.folder import PackagingError

LAYERS = "/2018-10-31/layers"
END_OF_ARCHIVE = b"PK\x05\x06"
"""What an archive of nothing begins with."""


@click.group()
def layer() -> None:
    """List layers, or publish a folder as one."""


@layer.command("list")
@options.as_json
@options.endpoint
def list_layers(as_json: bool, endpoint: str | None) -> None:
    """List the layers of this account and region.

    Each with its newest version.
    """
    client = Client.choose(endpoint)
    found: list[dict[str, Any]] = []
    marker: str | None = None
    while True:
        page = client.get(LAYERS, {"Marker": marker} if marker else None)
        found += page["Layers"]
        marker = page.get("NextMarker")
        if not marker:
            break
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif not found:
        click.echo("no layers yet; try: lambent layer publish DIR")
    else:
        for line in aligned([("NAME", "VERSION", "CREATED", "ARN"), *map(_row, found)]):
            click.echo(line)


@layer.command("publish")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--name", help="Of the layer.  [default: the name of the folder]")
@click.option("--description", default="", help="Of this version.")
@click.option("--runtime", "runtimes", multiple=True, metavar="ID", help="A compatible runtime. Repeatable.")
@options.endpoint
def publish(folder: Path, name: str | None, description: str, runtimes: tuple[str, ...], endpoint: str | None) -> None:
    """Publish a folder as the next version of a layer.

    Prints its ARN. Functions find what is in DIR below /opt: modules go into DIR/python, programs into DIR/bin,
    libraries into DIR/lib, extensions (executable files) into DIR/extensions.
    """
    if not folder.is_dir():
        raise Failure(f"there is no folder {folder}", USAGE)
    try:
        package = archive.of_folder(folder)
    except PackagingError as error:
        raise Failure(str(error), USAGE) from error
    if package.startswith(END_OF_ARCHIVE):
        raise Failure(f"there are no files in {folder}; modules go into {folder / 'python'}", USAGE)
    for each in _not_executable(folder):
        click.echo(f"lambent: {each} is not executable, so no function with this layer starts: chmod +x it", err=True)
    request: dict[str, Any] = {"Content": {"ZipFile": base64.b64encode(package).decode()}, "Description": description}
    if runtimes:
        request["CompatibleRuntimes"] = list(runtimes)
    path = f"{LAYERS}/{quote(name or folder.resolve().name, safe='')}/versions"
    headers = {"content-type": "application/json"}
    reply = Client.choose(endpoint).call("POST", path, None, json.dumps(request).encode(), headers)
    click.echo(reply.json()["LayerVersionArn"])


def _not_executable(folder: Path) -> list[Path]:
    """Extensions that cannot be launched. AWS takes such a layer, and so do we."""
    files = sorted((folder / "extensions").glob("*")) if (folder / "extensions").is_dir() else []
    return [each for each in files if each.is_file() and not os.access(each, os.X_OK)]


def _row(found: dict[str, Any]) -> tuple[str, ...]:
    newest = found["LatestMatchingVersion"]
    return found["LayerName"], str(newest["Version"]), newest["CreatedDate"][:19], newest["LayerVersionArn"]
