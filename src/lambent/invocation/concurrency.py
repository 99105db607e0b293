"""Concurrency as leases: how many invocations of an account, and of each function of it, run at one time.

The number in use is the number of leases that exist; nothing is counted beside them, so nothing can drift. A function
with reserved concurrency is limited by its own number alone; all others share what the account has beyond the sum of
the reservations. A lease is a context manager; once an environment has the invocation it is kept beyond the block, and
the environment releases it, because AWS counts an invocation until the runtime asks for the next one.
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Protocol

from lambent.aws.errors import throttled
from lambent.functions.records import FunctionKey

AccountKey = tuple[str, str]
"""(account, region)"""

ACCOUNT_FULL: Final = "ConcurrentInvocationLimitExceeded"
RESERVED_FULL: Final = "ReservedFunctionConcurrentInvocationLimitExceeded"


class Reservations(Protocol):
    def reserved(self, account: str, region: str) -> Mapping[str, int]:
        """Reserved concurrency by function name, from memory."""
        ...


class NoReservations:
    """For machines without a control plane."""

    def reserved(self, account: str, region: str) -> Mapping[str, int]:
        return {}


class Lease(AbstractAsyncContextManager["Lease"]):
    """One running invocation. Released at the end of the block unless kept, and then by `release`."""

    __slots__ = ("_held", "_kept", "_name")

    def __init__(self, held: "_Held", name: str) -> None:
        self._held = held
        self._name = name
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
        self._held.remove(self, self._name)


@dataclass(slots=True)
class _Held:
    """The leases of one account and region. `by_function` groups the same leases; a name without any is not in it."""

    all: set[Lease] = field(default_factory=set)
    by_function: dict[str, set[Lease]] = field(default_factory=dict)

    def add(self, lease: Lease, name: str) -> None:
        self.all.add(lease)
        of_function = self.by_function.get(name)
        if of_function is None:
            of_function = self.by_function[name] = set()
        of_function.add(lease)

    def remove(self, lease: Lease, name: str) -> None:
        if lease not in self.all:
            return
        self.all.remove(lease)
        of_function = self.by_function[name]
        of_function.remove(lease)
        if not of_function:
            del self.by_function[name]

    def of(self, name: str) -> int:
        return len(self.by_function.get(name, ()))


class Concurrency:
    """The limits of each account and region, and the leases that are held."""

    def __init__(self, account_limit: int, reservations: Reservations | None = None) -> None:
        self._account_limit = account_limit
        self._reservations = reservations or NoReservations()
        self._held: dict[AccountKey, _Held] = {}

    def in_use(self, account: str, region: str) -> int:
        held = self._held.get((account, region))
        return 0 if held is None else len(held.all)

    def in_use_by(self, key: FunctionKey) -> int:
        held = self._held.get((key.account, key.region))
        return 0 if held is None else held.of(key.name)

    def reserved(self, key: FunctionKey) -> int | None:
        """What is reserved for the function; None when it shares the account's pool."""
        return self._reservations.reserved(key.account, key.region).get(key.name)

    def lease(self, account: str, region: str, name: str) -> Lease:
        """A lease for function `name`, taken now. Raises TooManyRequestsException when its limit is reached."""
        held = self._held.get((account, region))
        if held is None:
            held = self._held[(account, region)] = _Held()
        reserved = self._reservations.reserved(account, region)
        if not reserved:
            if len(held.all) >= self._account_limit:
                raise throttled(ACCOUNT_FULL)
        else:
            _check(held, reserved, name, self._account_limit)
        lease = Lease(held, name)
        held.add(lease, name)
        return lease


def _check(held: _Held, reserved: Mapping[str, int], name: str, account_limit: int) -> None:
    own = reserved.get(name)
    if own is not None:
        if held.of(name) >= own:
            raise throttled(RESERVED_FULL)
        return
    shared = account_limit - sum(reserved.values())
    if len(held.all) - sum(held.of(other) for other in reserved) >= shared:
        raise throttled(ACCOUNT_FULL)
