"""Concurrency: how many invocations of an account, and of each function of it, run at one time, and begin in a second.

A function with reserved concurrency is limited by its own number alone; all others share what the account has beyond
the sum of the reservations. Provisioned concurrency is set aside for its version within either; what goes beyond it
spills over into the rest. The numbers in use are those of the leases that exist (`leases`). Each of these pools also
has a rate, of ten invocations per second for each 1 of concurrency; events have none.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Final, Protocol

from lambent.aws.errors import ApiError, throttled
from lambent.core.clock import Clock, SystemClock
from lambent.core.limiter import Rate, taken
from lambent.functions.records import FunctionKey, FunctionVersion
from lambent.invocation.leases import Held, Kind, Lease, Peaks

AccountKey = tuple[str, str]
"""(account, region)"""

ACCOUNT_FULL: Final = "ConcurrentInvocationLimitExceeded"
ACCOUNT_RATE: Final = "FunctionInvocationRateLimitExceeded"
RESERVED_FULL: Final = "ReservedFunctionConcurrentInvocationLimitExceeded"
RESERVED_RATE: Final = "ReservedFunctionInvocationRateLimitExceeded"
RATE: Final = 10
"""Invocations per second for each 1 of concurrency."""


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


class Concurrency:
    """The limits of each account and region, and the leases that are held."""

    def __init__(
        self,
        account_limit: int,
        reservations: Reservations | None = None,
        *,
        clock: Clock | None = None,
        rate: int = RATE,
    ) -> None:
        """`rate` 0: no limit but concurrency."""
        self._account_limit = account_limit
        self._reservations = reservations or NoReservations()
        self._now = (clock or SystemClock()).monotonic
        self._rate = rate
        self._account_rate = rate_of(account_limit, rate)
        self._held: dict[AccountKey, Held] = {}
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

    def lease(self, version: FunctionVersion, *, kind: Kind = Kind.REQUEST) -> Lease:
        """A lease for an invocation of this version, taken now. Raises TooManyRequestsException at a limit."""
        place, name = (version.account, version.region), version.name
        held = self._held.get(place)
        if held is None:
            held = self._held[place] = Held()
        reserved = self._reservations.reserved(*place)
        provisioned = self._reservations.provisioned(*place)
        if reserved or provisioned:
            return self._lease_among_others(held, reserved, provisioned, version, kind)
        # The short way of most: one pool, one rate.
        if len(held.all) >= self._account_limit:
            raise self._refused(ACCOUNT_FULL)
        if self._rate and kind is Kind.REQUEST:
            full_at = taken(held.full_at, self._now(), self._account_rate)
            if full_at is None:
                raise self._refused(ACCOUNT_RATE)
            held.full_at = full_at
        lease = Lease(held, name, None)
        held.add(lease)
        return lease

    def _lease_among_others(
        self,
        held: Held,
        reserved: Mapping[str, int],
        provisioned: Mapping[str, Mapping[str, int]],
        version: FunctionVersion,
        kind: Kind,
    ) -> Lease:
        name, number = version.name, version.version
        limited = self._rate > 0 and kind is Kind.REQUEST
        own = provisioned.get(name, _NONE).get(number, 0)
        late = set_aside = False
        if held.provisioned_of(name, number) < own:
            late = limited and not held.rates.take((name, number), self._now(), rate_of(own, self._rate))
            set_aside = not late
        if not set_aside:
            if _room(held, reserved, provisioned, name, self._account_limit) <= 0:
                full, rate = (RESERVED_FULL, RESERVED_RATE) if name in reserved else (ACCOUNT_FULL, ACCOUNT_RATE)
                # Where only its rate has brought it here, that is the reason.
                raise self._refused(rate if late else full)
            if limited and not self._in_time(held, reserved, provisioned, name):
                raise self._refused(RESERVED_RATE if name in reserved else ACCOUNT_RATE)
        lease = Lease(held, name, number if set_aside else None, spilled=own > 0 and not set_aside)
        held.add(lease)
        _note_peaks(held, lease, reserved, own)
        return lease

    def _refused(self, reason: str) -> ApiError:
        self.refused[reason] += 1
        return throttled(reason)

    def _in_time(
        self, held: Held, reserved: Mapping[str, int], provisioned: Mapping[str, Mapping[str, int]], name: str
    ) -> bool:
        """Whether the pool of the function may begin one more now. Provisioned concurrency has a rate of its own."""
        now = self._now()
        if name in reserved:
            shared = reserved[name] - sum(provisioned.get(name, _NONE).values())
            return held.rates.take((name, ""), now, rate_of(shared, self._rate))
        full_at = taken(held.full_at, now, self._account_rate)
        if full_at is None:
            return False
        held.full_at = full_at
        return True

    def take_peaks(self) -> dict[AccountKey, Peaks]:
        """The peaks since the last call; the next ones begin with what runs now."""
        found = {}
        for place, held in self._held.items():
            if held.peaks.all:
                found[place], held.peaks = held.peaks, self._levels(place, held)
        return found

    def claimed(
        self, account: str, region: str, unreserved: int, provisioned_in_use: Mapping[tuple[str, str], tuple[int, int]]
    ) -> int:
        """What is not left to others: reserved, provisioned, or in use beside both. `unreserved`: leases of functions
        without a reservation, of which those of `provisioned_in_use` are provisioned for already."""
        reserved = self._reservations.reserved(account, region)
        provisioned = self._reservations.provisioned(account, region)
        beside = sum(used for (name, _), (used, _) in provisioned_in_use.items() if name not in reserved)
        set_aside = sum(sum(versions.values()) for name, versions in provisioned.items() if name not in reserved)
        return sum(reserved.values()) + set_aside + max(0, unreserved - beside)

    def _levels(self, place: AccountKey, held: Held) -> Peaks:
        reserved, provisioned = self._reservations.reserved(*place), self._reservations.provisioned(*place)
        return Peaks(
            all=len(held.all),
            unreserved=held.unreserved(reserved) if reserved else None,
            by_function={name: len(leases) for name, leases in held.by_function.items()},
            provisioned={
                (name, version): (len(leases), provisioned.get(name, {}).get(version, 0))
                for name, versions in held.by_version.items()
                for version, leases in versions.items()
                if leases
            },
        )


def _note_peaks(held: Held, lease: Lease, reserved: Mapping[str, int], own: int) -> None:
    """Those that `Held` cannot see."""
    peaks = held.peaks
    if lease.name not in reserved:
        peaks.unreserved = max(peaks.unreserved or 0, held.unreserved(reserved))
    version = lease.provisioned_version
    if version is not None:
        place = (lease.name, version)
        level = held.provisioned_of(*place)
        if level > peaks.provisioned.get(place, (0, 0))[0]:
            peaks.provisioned[place] = (level, own)


def _room(
    held: Held,
    reserved: Mapping[str, int],
    provisioned: Mapping[str, Mapping[str, int]],
    name: str,
    account_limit: int,
) -> int:
    """For how many more that are not set aside."""
    own = reserved.get(name)
    if own is not None:
        own -= sum(provisioned.get(name, _NONE).values())
        return own - (held.of(name) - held.provisioned(name))
    shared = account_limit - sum(reserved.values())
    shared -= sum(sum(versions.values()) for other, versions in provisioned.items() if other not in reserved)
    used = held.unreserved(reserved)
    used -= sum(held.provisioned(other) for other in held.by_version if other not in reserved)
    return shared - used


def rate_of(executions: int, rate: int) -> Rate:
    """Ten times the concurrency in each second, and no more than that at once."""
    per_s = float(max(1, executions) * max(1, rate))
    return Rate.of(per_s, per_s)


_NONE: Final[Mapping[str, int]] = {}
