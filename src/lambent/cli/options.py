"""Options that several subcommands share, and the settings that result from them."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import click

from lambent.billing import prices
from lambent.cli.failure import USAGE, Failure
from lambent.core.setting_values import Given, SettingsError, days, files, numbers, text_file
from lambent.core.settings import Settings, load
from lambent.functions.quotas import configured
from lambent.runtimes.identifiers import IDENTIFIERS


def _inherited(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """`lambent clock --endpoint URL advance 2m` means that server too."""
    return value or (ctx.parent is not None and ctx.parent.params.get(str(param.name))) or value


endpoint = click.option(
    "--endpoint",
    metavar="URL",
    callback=_inherited,
    help="The server.  [default: $LAMBENT_ENDPOINT, $AWS_ENDPOINT_URL, http://127.0.0.1:4566]",
)
as_json = click.option("--json", "as_json", is_flag=True, callback=_inherited, help="Print JSON, for scripts.")
config = click.option(
    "--config",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Settings file.  [default: lambent.toml where there is one]",
)


class Whole(click.ParamType[int]):
    """A whole number in a range, with a refusal in words."""

    name = "n"

    def __init__(self, low: int, high: int | None = None) -> None:
        self._low = low
        self._high = high

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            number = int(value)
        except ValueError:
            number = self._low - 1
        if number < self._low or (self._high is not None and number > self._high):
            span = f"from {self._low} to {self._high}" if self._high is not None else f"of {self._low} or more"
            self.fail(f"{value!r} is not a whole number {span}", param, ctx)
        return number


class FunctionName(click.ParamType[str]):
    """A function's name or ARN; the server knows which are right, and an empty one would ask for another path."""

    name = "function"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not value.strip():
            self.fail("a function has a name; `lambent function list` prints them", param, ctx)
        return value


quota = click.option(
    "--quota",
    "quotas",
    multiple=True,
    metavar="NAME=VALUE",
    help="A limit of functions, as max_timeout_s=60; `lambent quotas` lists them.",
)


def deprecations(texts: Sequence[str]) -> tuple[tuple[str, date], ...] | None:
    """What `--deprecated-runtime` was given; None where it was not."""
    try:
        return tuple(pair for text in texts for pair in days(text, "--deprecated-runtime")) or None
    except SettingsError as error:
        raise Failure(str(error), USAGE) from error


def settings(flags: Mapping[str, Any], config: Path | None) -> Settings:
    """The settings in force; one line instead where they cannot be used."""
    try:
        given = {
            "quotas": _quotas(flags.get("quotas") or ()),
            "signing_profiles": _keys(flags.get("signing_profiles")),
            "prices": text_file(flags["prices"], "--prices") if flags.get("prices") else None,
        }
        found = load({**flags, **given}, config=config)
        configured(found.quotas, found.account_concurrency)
        _check_runtimes(name for name, _ in found.deprecated_runtimes)
        if found.signing_profiles:
            # Only then: it takes a library that commands can do without.
            from lambent.functions.signing import profiles

            profiles.load(found.signing_profiles)
        if found.prices is not None:
            _check_prices(*found.prices)
    except SettingsError as error:
        raise Failure(str(error), USAGE) from error
    return found


def _check_prices(path: str, text: str) -> None:
    try:
        prices.load(text)
    except prices.PricesError as error:
        raise SettingsError(f"prices: {path}: {error}") from None


def _check_runtimes(names: Iterable[str]) -> None:
    for name in names:
        if name not in IDENTIFIERS:
            near = difflib.get_close_matches(name, IDENTIFIERS, 1)
            perhaps = f"; did you mean {near[0]}?" if near else ""
            raise SettingsError(f"deprecated_runtimes: unknown runtime identifier '{name}'{perhaps}")


def _keys(texts: Sequence[str] | None) -> tuple[tuple[str, bytes], ...] | None:
    return files(",".join(texts), "--signing-profile") if texts else None


def _quotas(texts: Sequence[str]) -> Mapping[str, Given] | None:
    return {name: given for text in texts for name, given in numbers(text, "--quota").items()} or None
