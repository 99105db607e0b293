"""`lambent events`: asynchronous invocations that wait, run or have failed; sent again, and dropped."""

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from lambent.cli import options
from lambent.cli.client import Client
from lambent.cli.durations import short
from lambent.cli.failure import INTERRUPTED, REFUSED, USAGE, Failure
from lambent.cli.table import aligned

PATH = "/_lambent/events"
SHOWN = 50
STATES = ("running", "queued", "retry", "failed")
WORDS = {"running": "running", "queued": "queued", "retry": "in retry", "failed": "failed"}
ALL_COLUMNS = ("FUNCTION", *(WORDS[state].upper() for state in STATES))
COLUMNS = ("STATE", "REQUEST ID", "ATTEMPTS", "AGE", "NEXT ATTEMPT", "SIZE", "LAST ERROR")
ERROR_WIDTH = 200
TENANT_WIDTH = 40
FEWEST_CHARACTERS = 20
"""Of the error, however narrow the terminal is."""

USAGE_LINES = """\
lambent events
       lambent events FUNCTION
       lambent events FUNCTION redrive ID...
       lambent events FUNCTION redrive --all
       lambent events FUNCTION purge\
"""


class _Command(click.Command):
    """Shows its forms one under the other: what may be said with which is not to be guessed."""

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write(f"Usage: {USAGE_LINES}\n")


@click.command(cls=_Command)
@click.argument("function", type=options.FunctionName(), required=False)
@click.argument("action", required=False)
@click.argument("ids", nargs=-1)
@click.option("--failed", is_flag=True, help="Only events that have failed; purge drops these alone.")
@click.option("--limit", type=options.Whole(1, 10_000), default=SHOWN, help=f"So many at most.  [default: {SHOWN}]")
@click.option("--all", "every", is_flag=True, help="Redrive all failed events.")
@click.option("--yes", "-y", is_flag=True, help="Purge without asking.")
@options.as_json
@options.endpoint
def events(
    function: str | None,
    action: str | None,
    ids: tuple[str, ...],
    failed: bool,
    limit: int,
    every: bool,
    yes: bool,
    as_json: bool,
    endpoint: str | None,
) -> None:
    """Show the asynchronous invocations (events) of FUNCTION, or how many each function has.

    \b
    queued    waits for its first attempt, or for room
    running   is under way
    in retry  is attempted again at a later time
    failed    is kept after its last attempt: the newest 1,000 of a function, for 14 days

    `redrive` queues failed events again, as if they were accepted now. `purge` drops what waits and what has failed;
    what runs ends, and is not attempted again.
    """
    _check(function, action, ids, every, yes)
    client = Client.choose(endpoint)
    if function is None:
        _show_all(client, as_json)
    elif action is None:
        _show(client, function, failed, limit, as_json)
    elif action == "redrive":
        _redrive(client, function, ids, as_json)
    else:
        _purge(client, function, failed, yes, as_json)


def _check(function: str | None, action: str | None, ids: Sequence[str], every: bool, yes: bool) -> None:
    """Wrong usage is told before anything is asked."""
    if action not in (None, "redrive", "purge"):
        text = f"'{action}' is neither redrive nor purge"
        if function in ("redrive", "purge"):
            text = f"the function comes first: lambent events {action} {function}"
        raise Failure(text, USAGE)
    if action == "redrive" and bool(ids) == every:
        raise Failure(f"name the events, or say --all: lambent events {function} redrive ID... | --all", USAGE)
    if action == "purge" and ids:
        raise Failure(f"purge drops all events of {function}; it takes no request ids", USAGE)
    if every and action != "redrive":
        raise Failure("--all is an option of redrive", USAGE)
    if yes and action != "purge":
        raise Failure("--yes is an option of purge", USAGE)


def _show_all(client: Client, as_json: bool) -> None:
    found = client.get(PATH)["functions"]
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif not found:
        click.echo("no events wait, run or have failed")
    else:
        rows = [(each["name"], *(str(each[state] or "-") for state in STATES)) for each in found]
        for line in aligned([ALL_COLUMNS, *rows]):
            click.echo(line)


def _show(client: Client, function: str, failed: bool, limit: int, as_json: bool) -> None:
    query = {"FunctionName": function, "Limit": str(limit)} | ({"Failed": "true"} if failed else {})
    found = client.get(PATH, query)
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    events, totals = found["events"], found["totals"]
    if not events:
        click.echo(f"no events of {function} have failed" if failed else f"{function} has no events")
        return
    for line in table(events, found["now_ms"], shutil.get_terminal_size().columns if sys.stdout.isatty() else None):
        click.echo(line)
    click.echo(", ".join(f"{totals[state]} {WORDS[state]}" for state in STATES if totals[state]))
    there = totals["failed"] if failed else sum(totals.values())
    if there > len(events):
        click.echo(f"shown: {len(events)} of {there}; more with --limit")


def table(events: Sequence[Mapping[str, Any]], now_ms: int, width: int | None = None) -> list[str]:
    """The lines of events as the server tells them, under headings. Tenants have a column where an event has one;
    errors give way where `width` is too little."""
    rows = [COLUMNS, *(_row(event, now_ms) for event in events)]
    if any(event["tenant"] for event in events):
        tenants = ["TENANT", *(_cut(event["tenant"] or "-", TENANT_WIDTH) for event in events)]
        rows = [(*row[:2], tenant, *row[2:]) for row, tenant in zip(rows, tenants, strict=True)]
    before = max(map(len, aligned([(*row[:-1], "|") for row in rows]))) - 1
    room = ERROR_WIDTH if width is None else max(FEWEST_CHARACTERS, width - before)
    return aligned([(*row[:-1], _cut(row[-1], room)) for row in rows])


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 3] + "..."


def _row(event: Mapping[str, Any], now_ms: int) -> tuple[str, ...]:
    return (
        WORDS[event["state"]],
        event["request_id"] + (f" ({event['qualifier']})" if event["qualifier"] else ""),
        str(event["attempts"]),
        short((now_ms - event["accepted_ms"]) / 1000),
        _next(event, now_ms),
        size(event["size_bytes"]),
        " ".join((event["error"] or "-").split()),
    )


def _next(event: Mapping[str, Any], now_ms: int) -> str:
    if event["state"] != "retry":
        return "now" if event["state"] == "queued" else "-"
    return f"in {short((event['next_ms'] - now_ms) / 1000)}"


def size(count: int) -> str:
    """`120 B`, `1.2 KB`, `3.4 MB`."""
    if count < 1024:
        return f"{count} B"
    return f"{count / 1024:.1f} KB" if count < 1024 * 1024 else f"{count / 1024 / 1024:.1f} MB"


def _redrive(client: Client, function: str, ids: Sequence[str], as_json: bool) -> None:
    wanted = sorted(set(ids))
    body = json.dumps({"RequestIds": wanted}).encode() if wanted else b""
    done = client.call("POST", f"{PATH}/redrive", {"FunctionName": function}, body).json()
    if as_json:
        click.echo(json.dumps(done, indent=2))
    elif done["redriven"] or not wanted:
        click.echo(f"{_events(done['redriven'])} of {function} queued again")
    if missing := len(wanted) - done["redriven"] if wanted else 0:
        which = "this is" if len(wanted) == 1 else f"{missing} of these {len(wanted)} are"
        text = f"{which} not among the failed events of {function}"
        raise Failure(f"{text}; see: lambent events {function} --failed", REFUSED)


def _purge(client: Client, function: str, failed: bool, yes: bool, as_json: bool) -> None:
    if not yes:
        _ask(client, function, failed)
    query = {"FunctionName": function} | ({"Failed": "true"} if failed else {})
    done = client.call("POST", f"{PATH}/purge", query).json()
    click.echo(json.dumps(done, indent=2) if as_json else f"{_events(done['purged'])} of {function} dropped")


def _ask(client: Client, function: str, failed: bool) -> None:
    if not sys.stdin.isatty():
        raise Failure("purge asks first, and there is no terminal: say --yes", USAGE)
    totals = client.get(PATH, {"FunctionName": function, "Limit": "1"})["totals"]
    states = ("failed",) if failed else STATES
    words = ", ".join(f"{totals[state]} {WORDS[state]}" for state in states if totals[state]) or "none"
    if not click.confirm(f"Drop the events of {function} ({words})?", err=True):
        raise Failure("nothing was dropped", INTERRUPTED)


def _events(number: int) -> str:
    return f"{number} event" if number == 1 else f"{number or 'no'} events"
