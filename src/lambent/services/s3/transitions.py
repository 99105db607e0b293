"""Which versions of one key a lifecycle moves to another storage class at one moment. Pure.

Only downwards, to colder classes; of several that are due the coldest. Nothing is moved on the disk: a class is what
S3 shows, and what says whether an object has to be restored before it is read.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from lambent.services.s3.configs.lifecycle import LifecycleRule, due_ms
from lambent.services.s3.records import ARCHIVED, STANDARD, ObjectVersion

_COLDER: Final = (STANDARD, "STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE")
_RANK: Final = {name: rank for rank, name in enumerate(_COLDER)} | {"REDUCED_REDUNDANCY": 0}
_NEVER: Final = frozenset({("ONEZONE_IA", "GLACIER_IR")})
"""Colder, but AWS has no such way."""
SMALLEST_BYTES: Final = 128 * 1024
"""Smaller ones are not worth it, unless a rule speaks of sizes itself."""


@dataclass(frozen=True, slots=True)
class Move:
    version: ObjectVersion
    storage_class: str


def moves(versions: Sequence[ObjectVersion], rules: Sequence[LifecycleRule], now_ms: int) -> list[Move]:
    """`versions`: all of one key, the newest first."""
    current, *older = versions
    found = [_move(current, _due_of_current(current, rules, now_ms))]
    found += [_move(version, _due_of_old(version, newer, rules, now_ms)) for newer, version in enumerate(older)]
    return [move for move in found if move is not None]


def _due_of_current(version: ObjectVersion, rules: Sequence[LifecycleRule], now_ms: int) -> Iterable[str]:
    for rule in rules:
        for transition in rule.transitions:
            at_ms = transition.date_ms
            if transition.days is not None:
                at_ms = due_ms(version.modified_ms, transition.days)
            if at_ms is not None and at_ms <= now_ms and _is_about(rule, version, transition.storage_class):
                yield transition.storage_class


def _due_of_old(version: ObjectVersion, newer: int, rules: Sequence[LifecycleRule], now_ms: int) -> Iterable[str]:
    since_ms = version.modified_ms if version.noncurrent_ms is None else version.noncurrent_ms
    for rule in rules:
        for transition in rule.noncurrent_transitions:
            due = due_ms(since_ms, transition.days or 0) <= now_ms and newer >= transition.newer
            if due and _is_about(rule, version, transition.storage_class):
                yield transition.storage_class


def _is_about(rule: LifecycleRule, version: ObjectVersion, storage_class: str) -> bool:
    if not rule.is_about(version.key, version.size, version.state.tags):
        return False
    if version.size >= SMALLEST_BYTES or rule.larger_than is not None or rule.smaller_than is not None:
        return True
    return rule.small_to_archives and storage_class in ARCHIVED


def _move(version: ObjectVersion, due: Iterable[str]) -> Move | None:
    if version.marker:
        return None
    here = version.storage_class
    ways = [each for each in due if _RANK[each] > _RANK[here] and (here, each) not in _NEVER]
    return Move(version, max(ways, key=_RANK.__getitem__)) if ways else None
