"""`lambent quotas`: the limits, their defaults and the values in force. Needs no server.

`python -m lambent.cli.quotas docs/quotas.md` writes the page.
"""

import json
import sys
from pathlib import Path
from typing import Any

import click

from lambent.cli import options
from lambent.cli.table import aligned
from lambent.functions.quotas import SETTING_OF, Quota, configured, table

_HEAD = """\
# Quotas

Generated from `functions/quotas.py` by `make docs`. The defaults are those of AWS. Each number can be set:

- in `lambent.toml`: a table `[quotas]` with lines such as `max_timeout_s = 60`;
- by a variable: `LAMBENT_QUOTAS="max_timeout_s=60,max_tags=10"`;
- by a flag, as often as needed: `lambent up --quota max_timeout_s=60 --quota max_tags=10`.

A flag beats a variable beats the file, for each number by itself. A name that is no quota is refused.
`lambent quotas` prints the values that a server with the settings found would have. What is already there stays when a
limit becomes smaller; the limit holds for what comes. A value beyond "at most" is refused: AWS's service model, or the
size of a request, would refuse sooner.

AWS blocks runtimes some time after it has deprecated them; here none is blocked. A table `[deprecated_runtimes]` with
lines such as `"python3.9" = 2026-06-01`, `LAMBENT_DEPRECATED_RUNTIMES="python3.9=2026-06-01"`, or
`lambent up --deprecated-runtime python3.9=2026-06-01` refuses creating and updating functions of it from that day on.

| quota | default | at most | what it limits |
|---|---|---|---|
"""


@click.command()
@options.quota
@options.config
@options.as_json
def quotas(config: Path | None, as_json: bool, **flags: Any) -> None:
    """List the limits, with AWS's defaults, and the values that a server with these settings has."""
    settings = options.settings(flags, config)
    in_force = configured(settings.quotas, settings.account_concurrency)
    rows = [(each, getattr(in_force, each.name)) for each in table()]
    if as_json:
        found = [
            {"name": each.name, "value": value, "default": each.default, "meaning": each.meaning}
            for each, value in rows
        ]
        click.echo(json.dumps(found, indent=2))
        return
    cells = [
        (each.name, str(value), "" if value == each.default else str(each.default), each.meaning)
        for each, value in rows
    ]
    for line in aligned([("QUOTA", "IN FORCE", "DEFAULT", "WHAT IT LIMITS"), *cells]):
        click.echo(line)


def page() -> str:
    return _HEAD + "".join(
        f"| {_name(each.name)} | {each.default:,} | {_most(each)} | {each.meaning} |\n" for each in table()
    )


def _most(quota: Quota) -> str:
    return "-" if quota.high is None else f"{quota.high:,}"


def _name(name: str) -> str:
    setting = SETTING_OF.get(name)
    return f"`{name}`" if setting is None else f"`{name}`, set by `{setting}`"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
