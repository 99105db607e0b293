"""Leases: one for each invocation that runs. How many run is how many leases there are; nothing is counted beside them.

A lease is a context manager; once an environment has the invocation it is kept beyond the block, and the environment
releases it, because AWS counts an invocation until the runtime asks for the next one. Which leases are given is the
business of `concurrency`.
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType

from lambent.core.limiter import Buckets


class Kind(Enum):
    """Who invokes."""

    REQUEST = "somebody who waits for the answer"
    EVENT = "the event queue, which no rate limits"


class Lease(AbstractAsyncContextManager["Lease"]):
    """One running invocation. Released at the end of the block unless kept, and then by `release`."""

    __slots__ = ("_held", "_kept", "name", "provisioned_version", "spilled")

    def __init__(self, held: "Held", name: str, provisioned_version: str | None, *, spilled: bool = False) -> None:
        self._held = held
        self.name = name
        self.provisioned_version = provisioned_version
        """Set when the lease is one of those that are set aside for this version."""
        self.spilled = spilled
        """There is provisioned concurrency for this version, but all of it is in use."""
        self._kept = False

    async def __aenter__(self) -> "Lease":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._kept:
            self.release()

    def keep(self) -> None:
        """Outlive the block: somebody else calls `release`."""
        self._kept = True

    def release(self) -> None:
        """Safe to call twice."""
        self._held.remove(self)


@dataclass(slots=True)
class Peaks:
    """The most leases there were at one time since somebody looked."""

    all: int = 0
    unreserved: int | None = None
    """Of functions without a reservation; None: nobody had one."""
    by_function: dict[str, int] = field(default_factory=dict)
    provisioned: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    """By (function, version): leases that were set aside for it, of how many."""


@dataclass(slots=True)
class Held:
    """The leases of one account and region. `by_function` groups the same leases, `by_version` those that are set aside
    for a version; a name without any is not in it."""

    all: set[Lease] = field(default_factory=set)
    by_function: dict[str, set[Lease]] = field(default_factory=dict)
    by_version: dict[str, dict[str, set[Lease]]] = field(default_factory=dict)
    peaks: Peaks = field(default_factory=Peaks)
    full_at: float = 0.0
    """The bucket of all functions without a reservation; see `core.limiter`."""
    rates: Buckets[tuple[str, str]] = field(default_factory=Buckets)
    """By function and version with provisioned concurrency; version "": the function's reservation."""

    def add(self, lease: Lease) -> None:
        name = lease.name
        self.all.add(lease)
        of_function = self.by_function.get(name)
        if of_function is None:
            of_function = self.by_function[name] = set()
        of_function.add(lease)
        if lease.provisioned_version is not None:
            versions = self.by_version.setdefault(name, {})
            versions.setdefault(lease.provisioned_version, set()).add(lease)
        peaks = self.peaks
        if len(self.all) > peaks.all:
            peaks.all = len(self.all)
        if len(of_function) > peaks.by_function.get(name, 0):
            peaks.by_function[name] = len(of_function)

    def remove(self, lease: Lease) -> None:
        if lease not in self.all:
            return
        self.all.remove(lease)
        of_function = self.by_function[lease.name]
        of_function.remove(lease)
        if not of_function:
            del self.by_function[lease.name]
        if lease.provisioned_version is not None:
            versions = self.by_version[lease.name]
            versions[lease.provisioned_version].remove(lease)
            if not any(versions.values()):
                del self.by_version[lease.name]

    def of(self, name: str) -> int:
        return len(self.by_function.get(name, ()))

    def provisioned(self, name: str) -> int:
        """Leases of the function that are set aside for versions."""
        return sum(map(len, self.by_version.get(name, {}).values()))

    def provisioned_of(self, name: str, version: str) -> int:
        return len(self.by_version.get(name, {}).get(version, ()))

    def unreserved(self, reserved: Mapping[str, int]) -> int:
        """Leases of functions without a reservation."""
        return len(self.all) - sum(self.of(name) for name in reserved)
