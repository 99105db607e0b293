"""What the lifecycle of a bucket does with one key at one moment. Pure; what it moves is in `transitions`."""

from collections.abc import Sequence
from dataclasses import dataclass

from lambent.services.s3 import locks
from lambent.services.s3.configs.lifecycle import LifecycleRule, due_ms
from lambent.services.s3.records import MultipartUpload, ObjectVersion


@dataclass(frozen=True, slots=True)
class Expiry:
    """`for_good`: this version is removed; else its key is deleted as by a request without an id."""

    version: ObjectVersion
    for_good: bool


def expiries(versions: Sequence[ObjectVersion], rules: Sequence[LifecycleRule], now_ms: int) -> list[Expiry]:
    """`versions`: all of one key, the newest first."""
    current, *older = versions
    found: list[Expiry] = []
    if not current.marker:
        if any(_is_due(rule.expires_ms(current.modified_ms), now_ms) for rule in rules if _about(rule, current)):
            found.append(Expiry(current, for_good=False))
    elif not older and any(
        rule.expired_markers or _is_due(rule.expires_ms(current.modified_ms), now_ms)
        for rule in rules
        if _about(rule, current)
    ):
        found.append(Expiry(current, for_good=True))
    for newer, version in enumerate(older):
        if any(_is_old(rule, version, newer, now_ms) for rule in rules) and not locks.holds(version.state, now_ms):
            found.append(Expiry(version, for_good=True))
    return found


def is_abandoned(upload: MultipartUpload, rules: Sequence[LifecycleRule], now_ms: int) -> bool:
    return any(
        rule.abort_days is not None
        and upload.key.startswith(rule.prefix)
        and due_ms(upload.initiated_ms, rule.abort_days) <= now_ms
        for rule in rules
    )


def _is_old(rule: LifecycleRule, version: ObjectVersion, newer: int, now_ms: int) -> bool:
    if rule.noncurrent_days is None or newer < rule.noncurrent_newer or not _about(rule, version):
        return False
    since_ms = version.modified_ms if version.noncurrent_ms is None else version.noncurrent_ms
    return due_ms(since_ms, rule.noncurrent_days) <= now_ms


def _is_due(at_ms: int | None, now_ms: int) -> bool:
    return at_ms is not None and at_ms <= now_ms


def _about(rule: LifecycleRule, version: ObjectVersion) -> bool:
    return rule.is_about(version.key, version.size, version.state.tags)
