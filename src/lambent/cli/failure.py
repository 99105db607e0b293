"""How a command fails: one line that says what is wrong and, where something does, what mends it; and an exit code."""

from typing import IO, Any

import click

FUNCTION_FAILED = 1
"""The function answered with an error; the doctor found a fault; the demo did not succeed."""
USAGE = 2
"""Wrong usage, a payload that is not JSON, or settings that cannot be used. Click's own code."""
UNREACHABLE = 3
REFUSED = 4
"""The server answered with an error."""
CANNOT_START = 5
INTERRUPTED = 130


class Failure(click.ClickException):
    """What the user can understand and act on. Shown as `lambent: message`, without a traceback."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        # Click declares it for the class, and reads it from the instance.
        self.__dict__["exit_code"] = exit_code

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"lambent: {self.message}", file=file, err=True)
