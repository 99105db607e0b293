"""A line that says what long work is doing. Only for people: nothing of it is printed where stderr is no terminal."""

import sys
from types import TracebackType
from typing import Self

import click

CLEAR = "\r\x1b[K"


class Progress:
    """`with Progress() as progress:`; the line disappears at the end of the block, and before each result."""

    def __init__(self) -> None:
        self._stream = sys.stderr
        self._on = self._stream.isatty()

    def show(self, text: str) -> None:
        """What is being done now; replaces what was shown."""
        if self._on:
            self._stream.write(f"{CLEAR}{text} ...")
            self._stream.flush()

    def result(self, text: str) -> None:
        """A line that stays, on stdout."""
        self.clear()
        click.echo(text)

    def clear(self) -> None:
        if self._on:
            self._stream.write(CLEAR)
            self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()
