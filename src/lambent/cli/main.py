"""The command `lambent`: which subcommands there are, and how a failure reaches the user.

A subcommand's module is imported when it is called, so that `lambent --help` stays instant and `lambent up` may drop
its privileges before it imports the server. No traceback ever reaches the user for what a `Failure` describes.
"""

import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from gettext import gettext
from typing import Any

import click
from click.exceptions import NoArgsIsHelpError, NoSuchCommand

from lambent import __version__
from lambent.cli.failure import INTERRUPTED
from lambent.cli.help import mistake


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a subcommand is, and its line in the help."""

    place: str
    help: str


COMMANDS = {
    "up": Entry("lambent.cli.up:up", "Start the server in the foreground."),
    "demo": Entry("lambent.cli.demo:demo", "Run a real photograph through a sandboxed function."),
    "deploy": Entry("lambent.cli.deploy:deploy", "Make a folder a function; --watch deploys at every saved file."),
    "sign": Entry("lambent.cli.sign:sign", "Sign a package for functions with a code signing configuration."),
    "invoke": Entry("lambent.cli.invoke:invoke", "Invoke a function."),
    "logs": Entry("lambent.cli.logs:logs", "Show a function's log."),
    "bill": Entry("lambent.cli.bill:bill", "Show what the month would have cost on AWS; set budgets."),
    "function": Entry("lambent.cli.function:function", "List functions, or show one."),
    "queue": Entry("lambent.cli.queue:queue", "Show what CloudWatch would count of a queue."),
    "events": Entry("lambent.cli.events:events", "Show what waits, is retried or has failed; redrive and purge."),
    "clock": Entry("lambent.cli.clock:clock", "Show and advance the time of retries, with `up --virtual-clock`."),
    "layer": Entry("lambent.cli.layer:layer", "List layers, or publish a folder as one."),
    "runtimes": Entry("lambent.cli.runtimes:runtimes", "List the runtime identifiers and what serves them."),
    "quotas": Entry("lambent.cli.quotas:quotas", "List the limits and the values in force."),
    "env": Entry("lambent.cli.env:env", "Print the exports that point AWS clients here."),
    "doctor": Entry("lambent.cli.doctor:doctor", "Say what this machine can and cannot do, and what mends it."),
}


class LazyGroup(click.Group):
    """A group whose subcommands are a table of places."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if (entry := COMMANDS.get(cmd_name)) is None:
            return None
        module, _, name = entry.place.partition(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except NoSuchCommand as error:
            # Click looks for what was meant among commands that it has already.
            raise NoSuchCommand(error.command_name, possibilities=COMMANDS, ctx=ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section(gettext("Commands")):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    epilog="""\b
Exit codes: 0 done; 1 the function failed, or the doctor found a fault; 2 wrong usage or settings;
3 no server answers; 4 the server refused; 5 the server cannot start; 130 interrupted.""",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="lambent", message="%(prog)s %(version)s")
def command() -> None:
    """AWS Lambda on your own machines."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit. `Failure`s and wrong usage are shown by click: one line on stderr, their exit code."""
    try:
        result: Any = command.main(arguments, prog_name="lambent", standalone_mode=False)
        # Without its stand-alone mode click returns the code of `ctx.exit(code)`.
        code = result if isinstance(result, int) else 0
        sys.stdout.flush()
    except NoArgsIsHelpError as error:
        error.show()
        code = error.exit_code
    except click.UsageError as error:
        failure = mistake(error)
        failure.show()
        code = failure.exit_code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except BrokenPipeError:
        # The reader of our output left (`lambent logs ... | head`): no error, and nothing more may be written.
        sys.stdout = None
        code = 0
    sys.exit(code)
