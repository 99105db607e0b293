"""How the command shows its help and its users' mistakes: options in sections, and one line for what was wrong."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import click

from lambent.cli.failure import USAGE, Failure

MORE = "More"
"""The section of options that no other has."""


class Sectioned(click.Command):
    """A command with so many options that they are shown in sections."""

    sections: ClassVar[Mapping[str, Sequence[str]]] = {}
    """Names of options, as `data_dir`, by the heading above them."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        records = {param.name or "": param.get_help_record(ctx) for param in self.get_params(ctx)}
        named = {name for names in self.sections.values() for name in names}
        rest = [name for name in records if name not in named]
        for heading, names in {**self.sections, MORE: rest}.items():
            shown = [record for name in names if (record := records.get(name)) is not None]
            if shown:
                with formatter.section(heading):
                    formatter.write_dl(shown)


def mistake(error: click.UsageError) -> Failure:
    """Click's words as the one line that all failures are, with the place where help is."""
    text = error.format_message()
    place = f"; see: {error.ctx.command_path} --help" if error.ctx is not None else ""
    return Failure(text[:1].lower() + text[1:].rstrip(".") + place, USAGE)
