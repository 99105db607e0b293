"""`lambent bill`: what the month would have cost on AWS, and budgets that warn or stop."""

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

import click

from lambent.cli import options
from lambent.cli.bill_table import bars, table
from lambent.cli.client import Client
from lambent.cli.failure import USAGE, Failure
from lambent.cli.money import dollars, share
from lambent.cli.table import aligned

BILL = "/_lambent/bill"
BUDGETS = "/_lambent/budgets"
WAYS = ("function", "tag", "day", "tenant")


class _Bill(click.Group):
    """`--by tag KEY` has a key behind it, which no subcommand may be taken for."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        for place, pair in enumerate(pairwise(args)):
            if pair == ("--by", "tag") and len(args) > place + 2 and not args[place + 2].startswith("-"):
                args = [*args[: place + 2], "--tag-key", *args[place + 2 :]]
                break
        return super().parse_args(ctx, args)


@click.group(cls=_Bill, invoke_without_command=True)
@click.option("--by", type=click.Choice(WAYS), default="function", help="What a row is.  [default: function]")
@click.option("--tag-key", metavar="KEY", hidden=True)
@click.option("--month", metavar="YYYY-MM", help="Of UTC.  [default: the present one]")
@options.as_json
@options.endpoint
@click.pass_context
def bill(
    ctx: click.Context, by: str, tag_key: str | None, month: str | None, as_json: bool, endpoint: str | None
) -> None:
    """Show what this account's month would have cost on AWS. `--by tag KEY` groups by a tag of functions."""
    if ctx.invoked_subcommand is not None:
        return
    if (by == "tag") != (tag_key is not None):
        raise Failure("--by tag needs the key of the tag, as in: lambent bill --by tag team", USAGE)
    query = {"By": by} | ({"TagKey": tag_key} if tag_key else {}) | ({"Month": month} if month else {})
    found = Client.choose(endpoint).get(BILL, query)
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    if not found["Rows"]:
        click.echo(f"nothing was used in {found['Month']}; invoke a function first (see: lambent demo)")
    else:
        _show(found)
    for budget in found["Budgets"]:
        if budget["Standing"] != "within":
            click.echo(f"budget of {_scope(budget)}: {_standing(budget)}")


def _show(found: Mapping[str, Any]) -> None:
    width = shutil.get_terminal_size().columns
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    click.echo(
        f"What account {found['Account']} would have paid AWS for {found['Month']}, in US dollars of its price list"
    )
    click.echo("")
    head, *lines = table(found, width)
    click.echo(click.style(head, bold=True) if coloured else head)
    for line in lines:
        click.echo(line)
    if len(found["Rows"]) > 1 or found["By"] == "day":
        click.echo("")
        for line in bars(found, width):
            click.echo(click.style(line, fg="green") if coloured else line)


@bill.group()
def budget() -> None:
    """Amounts of a month that warn, or stop invocations."""


_of_function = click.option(
    "--function", "function", type=options.FunctionName(), help="A function of this region.  [default: the account]"
)


@budget.command("set")
@click.argument("amount")
@_of_function
@click.option("--stop", is_flag=True, help="At 100 % refuse invocations; otherwise that is only told.")
@options.endpoint
def put(amount: str, function: str | None, stop: bool, endpoint: str | None) -> None:
    """Give the account or a function AMOUNT US dollars a month."""
    query = {"Amount": amount.removeprefix("$"), "Action": "stop" if stop else "warn"} | _named(function)
    _list(_call("PUT", query, endpoint))


@budget.command("list")
@options.as_json
@options.endpoint
def list_budgets(as_json: bool, endpoint: str | None) -> None:
    """List the budgets of this account, and what is used of them."""
    found = _call("GET", {}, endpoint)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        _list(found)


@budget.command()
@_of_function
@options.endpoint
def remove(function: str | None, endpoint: str | None) -> None:
    """Remove the budget of the account or of a function."""
    _list(_call("DELETE", _named(function), endpoint))


def _named(function: str | None) -> dict[str, str]:
    return {"FunctionName": function} if function else {}


def _call(method: str, query: Mapping[str, str], endpoint: str | None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = Client.choose(endpoint).call(method, BUDGETS, query).json()["Budgets"]
    return found


def _list(found: Sequence[Mapping[str, Any]]) -> None:
    if not found:
        click.echo("no budgets; set one with: lambent bill budget set 5 --stop")
        return
    rows = [
        (_scope(each), dollars(Decimal(each["Amount"])), dollars(Decimal(each["Spent"])), _used(each), _then(each))
        for each in found
    ]
    for line in aligned([("BUDGET OF", "A MONTH", "SPENT", "USED", "AT 100 %"), *rows]):
        click.echo(line)


def _scope(budget: Mapping[str, Any]) -> str:
    return f"{budget['FunctionName']} ({budget['Region']})" if budget["FunctionName"] else "the account"


def _used(budget: Mapping[str, Any]) -> str:
    return share(Decimal(budget["Spent"]), Decimal(budget["Amount"]))


def _then(budget: Mapping[str, Any]) -> str:
    return "stopped" if budget["Stopped"] else str(budget["Action"])


def _standing(budget: Mapping[str, Any]) -> str:
    text = f"{dollars(Decimal(budget['Amount']))} a month, {_used(budget)} used"
    return text + ("; invocations are refused until it is raised or the month ends" if budget["Stopped"] else "")
