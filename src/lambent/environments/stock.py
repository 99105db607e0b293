"""How many prepared sandboxes there should be, and which zygotes: pure decisions of what was seen and the time.

A prepared sandbox holds nothing of any account, so the stock is one for the machine, by kind: the identifier of a
runtime whose interpreter waits in it, or `BLANK` without one, for what must be exec'd. Zygotes are an account's own.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from lambent.environments.capacity import LOW_MEMORY

BLANK: Final = ""
"""The kind of a sandbox without an interpreter."""
HALF_LIFE_S: Final = 10.0
"""After this time a cold start counts half in the rate."""
COVER_S: Final = 2.0
"""The stock covers what arrives in this time: a burst takes all of it at once, long before the first is replaced."""
RECENT_S: Final = 600.0
"""So long after its last use a runtime is still used; as long as an idle environment is kept by default."""
SCARCE_MEMORY: Final = 2 * LOW_MEMORY
"""Below this share of available memory there is one of each kind; below `LOW_MEMORY` none, and no zygote."""
BUSY_REST: Final = 3.0
"""While functions run, a preparation is followed by a rest of so many times its own duration."""
GIVE_WAY_S: Final = 0.25
"""Preparations wait for environments that start, but not longer than this: a busy machine needs its stock most."""
ZYGOTE_LRU_S: Final = 1.0
"""A zygote that was used within this time does not make room for another account's."""


class ZygoteKey(NamedTuple):
    account: str
    runtime: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the setting `prewarm` allows."""

    few: int = 2
    """Of a runtime that is used; one of a runtime that functions only name."""
    most: int = 16
    """Of each kind. As many as `few` where the user gave a number."""
    blanks: int = 2
    zygotes: int = 8
    zygote_idle_s: float = 60.0


OFF: Final = Limits(few=0, most=0, blanks=0, zygotes=0)


def limits(setting: str, cpus: int) -> Limits:
    """`setting` is `auto`, `off`, or a number of sandboxes for each runtime in use; 0 leaves only zygotes."""
    if setting == "off":
        return OFF
    if setting == "auto":
        return Limits(zygotes=max(4, 2 * cpus))
    number = int(setting)
    return Limits(few=number, most=number, blanks=min(1, number), zygotes=max(4, 2 * cpus))


@dataclass(frozen=True, slots=True)
class Rate:
    """Events per second, of which the older ones count less."""

    per_s: float = 0.0
    at: float = 0.0

    def after(self, now: float) -> float:
        return self.per_s * math.pow(0.5, max(0.0, now - self.at) / HALF_LIFE_S)

    def with_one_more(self, now: float) -> "Rate":
        return Rate(self.after(now) + math.log(2) / HALF_LIFE_S, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What was seen of one kind."""

    functions: int = 0
    """That name the runtime."""
    used_at: float | None = None
    """When one of them was last deployed or started cold."""
    rate: Rate = field(default=Rate())
    ready: int = 0
    preparing: int = 0

    def seen(self, now: float) -> "Use":
        """After a cold start."""
        return replace(self, used_at=now, rate=self.rate.with_one_more(now))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """The machine, as far as it matters here."""

    uses: Mapping[str, Use] = field(default_factory=dict)
    zygotes: Mapping[ZygoteKey, float] = field(default_factory=dict)
    """When each was last used."""
    available_memory: float = 1.0
    room: int = 1_000
    """How many more environments the machine could hold."""
    invoking: bool = False
    """Functions run."""
    starting: int = 0
    """Environments that start at this moment."""
    waiting: int = 0
    """Environments that wait for their turn to start."""
    cpus: int = 1
    prepared_at: float = -math.inf
    """When the last preparation ended."""
    missing_since: float = -math.inf
    """Since when there is less than is wanted."""
    prepare_s: float = 0.0
    """How long it took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    wanted: Mapping[str, int]
    missing: bool
    """There is less than is wanted."""
    at_once: int
    """Preparations that may run at one time."""
    end_zygotes: frozenset[ZygoteKey] = frozenset()
    again_in_s: float | None = None
    """When to decide anew if nothing happens; None: nothing changes by itself."""


def decide(now: float, stats: Stats, limits: Limits) -> Decision:
    wanted = _sizes(now, stats, limits)
    missing = any(count > stats.uses[kind].ready + stats.uses[kind].preparing for kind, count in wanted.items())
    ends = {key: used + limits.zygote_idle_s for key, used in stats.zygotes.items()}
    over = {key for key, end in ends.items() if end <= now or stats.available_memory < LOW_MEMORY}
    later = [end - now for key, end in ends.items() if key not in over]
    at_once = 0
    if missing:
        wait_s = _pause_s(now, stats)
        at_once = 0 if wait_s > 0 else 1 if stats.invoking or stats.starting else stats.cpus
        if wait_s > 0:
            later.append(wait_s)
    return Decision(
        wanted=wanted,
        missing=missing,
        at_once=at_once,
        end_zygotes=frozenset(over),
        again_in_s=min(later) if later else None,
    )


def _sizes(now: float, stats: Stats, limits: Limits) -> dict[str, int]:
    wishes = {kind: _wish(now, kind, use, limits) for kind, use in stats.uses.items()}
    if stats.available_memory < LOW_MEMORY:
        return dict.fromkeys(wishes, 0)
    if stats.available_memory < SCARCE_MEMORY:
        wishes = {kind: min(1, wish) for kind, wish in wishes.items()}
    return _shared_out(wishes, stats.room)


def _wish(now: float, kind: str, use: Use, limits: Limits) -> int:
    recent = use.used_at is not None and now - use.used_at < RECENT_S
    if kind == BLANK:
        least, most = (min(1, limits.blanks) if recent else 0), limits.blanks
    else:
        least, most = (limits.few if recent else min(1, limits.few)), limits.most
    if not (recent if kind == BLANK else use.functions):
        return 0
    # Rounded, so that what arrived long ago is nothing.
    return min(most, least + math.ceil(round(use.rate.after(now) * COVER_S, 1)))


def _shared_out(wishes: Mapping[str, int], room: int) -> dict[str, int]:
    """`room` places, one after the other to each kind that still wishes for more."""
    sizes = dict.fromkeys(wishes, 0)
    while sum(sizes.values()) < room:
        hungry = [kind for kind in sizes if sizes[kind] < wishes[kind]]
        if not hungry:
            break
        for kind in hungry[: room - sum(sizes.values())]:
            sizes[kind] += 1
    return sizes


def _pause_s(now: float, stats: Stats) -> float:
    """How long preparations hold back for what runs."""
    pause = 0.0
    if stats.starting or stats.waiting:
        pause = max(stats.prepared_at, stats.missing_since) + GIVE_WAY_S - now
    if stats.invoking:
        pause = max(pause, stats.prepared_at + BUSY_REST * stats.prepare_s - now)
    return max(0.0, pause)


def zygote_to_replace(
    now: float, zygotes: Mapping[ZygoteKey, float], available_memory: float, limits: Limits
) -> tuple[bool, ZygoteKey | None]:
    """Whether one more zygote may be started, and which must end for it."""
    if not limits.zygotes or available_memory < SCARCE_MEMORY:
        return False, None
    if len(zygotes) < limits.zygotes:
        return True, None
    oldest = min(zygotes, key=lambda key: zygotes[key])
    if now - zygotes[oldest] < ZYGOTE_LRU_S:
        return False, None
    return True, oldest
