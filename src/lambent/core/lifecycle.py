"""State machines as tables: which state may follow which, checked in one place.

A module that owns an object with states declares `NEXT: Table[S]` and moves only through `step`. What the table
does not name is a bug and raises `IllegalTransition`.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

S = TypeVar("S", bound=StrEnum)


class IllegalTransition(RuntimeError):
    """A bug: the owner of an object tried a step that its table does not have."""


def step(table: Mapping[S, frozenset[S]], current: S, target: S) -> S:
    """Return `target` when the table allows it after `current`."""
    if target not in table.get(current, frozenset()):
        raise IllegalTransition(f"{type(current).__name__}: {current} -> {target} is not allowed")
    return target
