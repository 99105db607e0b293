"""Concurrency as leases: how many invocations of an account, and of each function of it, run at one time.

The number in use is the number of leases that exist; nothing is counted beside them, so nothing can drift. A function
with reserved concurrency is limited by its own number alone; all others share what the account has beyond the sum of
the reservations. Provisioned concurrency is set aside for its version within either; what goes beyond it spills over
into the rest. A lease is a context manager; once an environment has the invocation it is kept beyond the block, and
the environment releases it, because AWS counts an invocation until the runtime asks for the next one.
"""

from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Protocol

from lambent.aws.errors import ApiError, throttled
from lambent.functions.records import LATEST, FunctionKey

AccountKey = tuple[str, str]
"""(account, region)"""

ACCOUNT_FULL: Final = "ConcurrentInvocationLimitExceeded"
RESERVED_FULL: Final = "ReservedFunctionConcurrentInvocationLimitExceeded"


class Reservations(Protocol):
    def reserved(self, account: str, region: str) -> Mapping[str, int]:
        """Reserved concurrency by function name, from memory."""
        ...

    def provisioned(self, account: str, region: str) -> Mapping[str, Mapping[str, int]]:
        """Provisioned concurrency by function name and number of version."""
        ...


class NoReservations:
    """For machines without a control plane."""

    def reserved(self, account: str, region: str) -> Mapping[str, int]:
        return {}

    def provisioned(self, account: str, region: str) -> Mapping[str, Mapping[str, int]]:
        return {}


class Lease(AbstractAsyncContextManager["Lease"]):
    """One running invocation. Released at the end of the block unless kept, and then by `release`."""

    __slots__ = ("_held", "_kept", "name", "provisioned_version")

    def __init__(self, held: "_Held", name: str, provisioned_version: str | None) -> None:
        self._held = held
        self.name = name
        self.provisioned_version = provisioned_version
        """Set when the lease is one of those that are set aside for this version."""
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
class _Held:
    """The leases of one account and region. `by_function` groups the same leases, `by_version` those that are set aside
    for a version; a name without any is not in it."""

    all: set[Lease] = field(default_factory=set)
    by_function: dict[str, set[Lease]] = field(default_factory=dict)
    by_version: dict[str, dict[str, set[Lease]]] = field(default_factory=dict)

    def add(self, lease: Lease) -> None:
        self.all.add(lease)
        of_function = self.by_function.get(lease.name)
        if of_function is None:
            of_function = self.by_function[lease.name] = set()
        of_function.add(lease)
        if lease.provisioned_version is not None:
            versions = self.by_version.setdefault(lease.name, {})
            versions.setdefault(lease.provisioned_version, set()).add(lease)

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


class Concurrency:
    """The limits of each account and region, and the leases that are held."""

    def __init__(self, account_limit: int, reservations: Reservations | None = None) -> None:
        self._account_limit = account_limit
        self._reservations = reservations or NoReservations()
        self._held: dict[AccountKey, _Held] = {}
        self.refused: Counter[str] = Counter()
        """Leases that were not given, by reason."""

    def in_use(self, account: str, region: str) -> int:
        held = self._held.get((account, region))
        return 0 if held is None else len(held.all)

    def in_use_by(self, key: FunctionKey) -> int:
        held = self._held.get((key.account, key.region))
        return 0 if held is None else held.of(key.name)

    def reserved(self, key: FunctionKey) -> int | None:
        """What is reserved for the function; None when it shares the account's pool."""
        return self._reservations.reserved(key.account, key.region).get(key.name)

    def lease(self, account: str, region: str, name: str, version: str = LATEST) -> Lease:
        """A lease for a version of function `name`, taken now.

        Raises TooManyRequestsException when its limit is reached.
        """
        held = self._held.get((account, region))
        if held is None:
            held = self._held[(account, region)] = _Held()
        reserved = self._reservations.reserved(account, region)
        provisioned = self._reservations.provisioned(account, region)
        set_aside = False
        if provisioned and name in provisioned:
            set_aside = held.provisioned_of(name, version) < provisioned[name].get(version, 0)
        try:
            if reserved or provisioned:
                if not set_aside:
                    _check(held, reserved, provisioned, name, self._account_limit)
            elif len(held.all) >= self._account_limit:
                raise throttled(ACCOUNT_FULL)
        except ApiError as error:
            self.refused[error.members["Reason"]] += 1
            raise
        lease = Lease(held, name, version if set_aside else None)
        held.add(lease)
        return lease


def _check(
    held: _Held,
    reserved: Mapping[str, int],
    provisioned: Mapping[str, Mapping[str, int]],
    name: str,
    account_limit: int,
) -> None:
    """Whether there is room for one more that is not set aside."""
    own = reserved.get(name)
    if own is not None:
        own -= sum(provisioned.get(name, {}).values())
        if held.of(name) - held.provisioned(name) >= own:
            raise throttled(RESERVED_FULL)
        return
    shared = account_limit - sum(reserved.values())
    shared -= sum(sum(versions.values()) for other, versions in provisioned.items() if other not in reserved)
    used = len(held.all) - sum(held.of(other) for other in reserved)
    used -= sum(held.provisioned(other) for other in held.by_version if other not in reserved)
    if used >= shared:
        raise throttled(ACCOUNT_FULL)
