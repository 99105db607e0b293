"""`lambent logs`: show a function's log, and follow it.

Reads through FilterLogEvents like any AWS client. Events of several environments arrive with nearly equal times, so
following looks back a little each time and shows each event id once.
"""

import json
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import click

from lambent.cli import options
from lambent.cli.client import Client
from lambent.cli.failure import REFUSED, USAGE, Failure

NEWEST = 1000
POLL_S = 0.5
LOOK_BACK_MS = 2000
_RELATIVE = re.compile(r"([0-9]{1,9})([smhdw])")
_UNITS_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_PLATFORM = ("START RequestId: ", "END RequestId: ", "REPORT RequestId: ", "INIT_START ", "INIT_REPORT ")

Event = Mapping[str, Any]


@click.command()
@click.argument("function", type=options.FunctionName())
@click.option("--follow", "-f", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option("--since", metavar="TIME", help="From when on: 30s, 10m, 2h, 1d, 1w ago, or an ISO 8601 time.")
@click.option(
    "--limit", type=options.Whole(1), help=f"Only the newest N events.  [default: {NEWEST} without --since, else all]"
)
@click.option("--filter", "text", metavar="TEXT", help="Only events that contain TEXT as it is.")
@options.as_json
@options.endpoint
def logs(
    function: str,
    follow: bool,
    since: str | None,
    limit: int | None,
    text: str | None,
    as_json: bool,
    endpoint: str | None,
) -> None:
    """Show the log of FUNCTION (a name or an ARN), oldest event first. --json prints one object per line."""
    since_ms = None if since is None else parse_since(since, time.time_ns() // 1_000_000)
    reader = Reader(Client.choose(endpoint), function, text)
    if limit is None and since_ms is None:
        limit = NEWEST
    show = _show_json if as_json else show_event
    for event in reader.forward(since_ms or 0) if limit is None else reader.newest(limit, since_ms):
        show(event)
    if follow and reader.cut:
        reader.pass_over_older()
    while follow:
        time.sleep(POLL_S)
        for event in reader.more(since_ms or 0):
            show(event)


@dataclass(slots=True)
class Reader:
    """The events of one function. Remembers what it has given, for `more`."""

    client: Client
    function: str
    text: str | None = None
    cut: bool = False
    """Whether `newest` may have left out older events."""
    _group: str | None = None
    _unknown: Failure | None = None
    _newest_ms: int | None = None
    _seen: dict[str, int] = field(default_factory=dict)
    """Time by event id, of the last moments."""

    def newest(self, limit: int, since_ms: int | None) -> list[Event]:
        """The last `limit` events, oldest first."""
        found: list[Event] = []
        parameters: dict[str, Any] = {"startFromHead": False}
        if since_ms is not None:
            parameters["startTime"] = since_ms
        for page in self._pages(parameters, limit):
            found += page
        found.reverse()
        self.cut = len(found) == limit
        for event in found:
            self._remember(event)
        return found

    def forward(self, since_ms: int) -> Iterator[Event]:
        for page in self._pages({"startTime": since_ms}):
            for event in page:
                self._remember(event)
                yield event

    def pass_over_older(self) -> None:
        """What `newest` left out shall not come as news: `more` looks back a little."""
        start_ms, end_ms = (self._newest_ms or 0) - LOOK_BACK_MS, min(self._seen.values(), default=0)
        if start_ms <= end_ms:
            for page in self._pages({"startTime": start_ms, "endTime": end_ms}):
                for event in page:
                    self._remember(event)

    def more(self, since_ms: int) -> Iterator[Event]:
        """What has come since the last call of any of these."""
        start_ms = since_ms if self._newest_ms is None else max(since_ms, self._newest_ms - LOOK_BACK_MS)
        self._seen = {name: stamp for name, stamp in self._seen.items() if stamp >= start_ms}
        for page in self._pages({"startTime": start_ms}):
            for event in page:
                if event["eventId"] not in self._seen:
                    self._remember(event)
                    yield event

    def _remember(self, event: Event) -> None:
        self._seen[event["eventId"]] = event["timestamp"]
        if self._newest_ms is None or event["timestamp"] > self._newest_ms:
            self._newest_ms = event["timestamp"]

    def _pages(self, parameters: dict[str, Any], limit: int | None = None) -> Iterator[list[Event]]:
        parameters = {"logGroupName": self._find_group(), **parameters}
        if self.text:
            parameters["filterPattern"] = _phrase(self.text)
        while limit is None or limit > 0:
            if limit is not None:
                parameters["limit"] = min(limit, 10_000)
            page = self._filter(parameters)
            yield page["events"]
            if "nextToken" not in page:
                return
            if limit is not None:
                limit -= len(page["events"])
            parameters["nextToken"] = page["nextToken"]

    def _filter(self, parameters: Mapping[str, Any]) -> Any:
        headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": "Logs_20140328.FilterLogEvents"}
        try:
            body = json.dumps(parameters).encode()
            return self.client.call("POST", "/", None, body, headers, service="logs").json()
        except Failure as failure:
            if failure.exit_code != REFUSED or "log group does not exist" not in failure.message:
                raise
            if self._unknown is not None:
                raise self._unknown from None
            # A function that has not run yet has no log group.
            return {"events": []}

    def _find_group(self) -> str:
        """The log group of the function; of one that has been deleted, the group it would have had."""
        if self._group is None:
            path = f"/2015-03-31/functions/{quote(self.function, safe='')}/configuration"
            try:
                found = self.client.get(path)
                group = (found.get("LoggingConfig") or {}).get("LogGroup")
                self._group = group or f"/aws/lambda/{found['FunctionName']}"
            except Failure as failure:
                if failure.exit_code != REFUSED or not failure.message.startswith("ResourceNotFoundException"):
                    raise
                self._unknown = failure
                self._group = f"/aws/lambda/{plain_name(self.function)}"
        return self._group


def parse_since(text: str, now_ms: int) -> int:
    """Milliseconds since 1970 of `10m` (ago) or of an ISO 8601 time (UTC where it names no zone)."""
    if (match := _RELATIVE.fullmatch(text)) is not None:
        return max(0, now_ms - int(match[1]) * _UNITS_MS[match[2]])
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return max(0, int(moment.timestamp() * 1000))
    except (ValueError, OverflowError):
        raise Failure(
            f"--since '{text}' is no time; write 30s, 10m, 2h, 1d, 1w or 2026-11-20T20:00:00Z", USAGE
        ) from None


def plain_name(function: str) -> str:
    """The name in `name`, `name:qualifier`, an ARN or the end of one."""
    _, found, rest = function.partition("function:")
    return (rest if found else function).partition(":")[0]


def _phrase(text: str) -> str:
    """A filter pattern that matches `text` as it is."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def show_event(event: Event) -> None:
    moment = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
    stamp = moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{event['timestamp'] % 1000:03d}Z"
    message = event["message"].rstrip("\n")
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        stamp = click.style(stamp, fg="green")
        message = click.style(message, dim=True) if message.startswith(_PLATFORM) else message
    # Colours that the function itself wrote are part of its log: click shall not take them out.
    click.echo(f"{stamp} {message}", color=True)


def _show_json(event: Event) -> None:
    click.echo(json.dumps(event, ensure_ascii=False), color=True)
