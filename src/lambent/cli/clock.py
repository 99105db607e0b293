"""`lambent clock` and `lambent clock advance`: the time of a server that was started with --virtual-clock."""

import json
from typing import Any

import click

from lambent.cli import options
from lambent.cli.client import Client
from lambent.cli.durations import Duration, short
from lambent.cli.failure import REFUSED, Failure

PATH = "/_lambent/clock"


@click.group(invoke_without_command=True)
@options.as_json
@options.endpoint
@click.pass_context
def clock(context: click.Context, as_json: bool, endpoint: str | None) -> None:
    """Show the time by which events are retried and grow old; `advance` moves it without waiting.

    Only where the server was started with --virtual-clock. Running functions, logs and credentials keep to real time.
    """
    if context.invoked_subcommand is None:
        found = _call(endpoint, "GET")
        click.echo(json.dumps(found, indent=2) if as_json else _time(found))


@clock.command(short_help="Go on by TIME, as 2m or 1h30m.", context_settings={"ignore_unknown_options": True})
@click.argument("time", type=Duration())
@click.option(
    "--wait",
    type=Duration(),
    metavar="TIME",
    help="How long to wait, in all, for what becomes due to end.  [default: 10s]",
)
@options.as_json
@options.endpoint
def advance(time: float, wait: float | None, as_json: bool, endpoint: str | None) -> None:
    """Go on by TIME (45s, 2m, 1h30m, 7d), through everything that becomes due on the way."""
    sent = {"Seconds": time} | ({} if wait is None else {"WaitSeconds": wait})
    found = _call(endpoint, "POST", json.dumps(sent).encode())
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    click.echo(_time(found))
    started = [_counted(number, name) for name, number in found["Started"].items() if number]
    running = found["UnderWay"]
    click.echo((", ".join(started) or "nothing was due") + (f"; {running} still under way" if running else ""))


def _call(endpoint: str | None, method: str, body: bytes = b"") -> Any:
    try:
        return Client.choose(endpoint).call(method, PATH, body=body).json()
    except Failure as failure:
        if failure.exit_code == REFUSED and failure.message.startswith("NotFoundException"):
            text = "the clock of this server cannot be advanced; start it with: lambent up --virtual-clock"
            raise Failure(text, REFUSED) from None
        raise


def _counted(number: int, name: str) -> str:
    """Of `Attempts` or `Deliveries`."""
    word = name.lower()
    singular = f"{word[:-3]}y" if word.endswith("ies") else word.removesuffix("s")
    return f"{number} {singular if number == 1 else word}"


def _time(found: Any) -> str:
    ahead = found["AheadSeconds"]
    return f"{found['Now'][:19].replace('T', ' ')} UTC ({f'{short(ahead)} ahead' if ahead else 'not advanced'})"
