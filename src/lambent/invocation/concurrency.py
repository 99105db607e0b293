"""Concurrency: how many invocations of an account, and of each function of it, run at one time.

A function with reserved concurrency is limited by its own number alone; all others share what the account has beyond
the sum of the reservations. Provisioned concurrency is set aside for its version within either; what goes beyond it
spills over into the rest. The numbers in use are those of the leases that exist (`leases`).
"""

from collections import Counter
from collections.abc import Mapping
from typing import Final, Protocol

from lambent.aws.errors import ApiError, throttled
from lambent.functions.records import FunctionKey, FunctionVersion
from lambent.invocation.leases import Held, Kind, Lease, Peaks

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


class Concurrency:
    """The limits of each account and region, and the leases that are held."""

    def __init__(self, account_limit: int, reservations: Reservations | None = None) -> None:
        self._account_limit = account_limit
        self._reservations = reservations or NoReservations()
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
        own = provisioned[name].get(version.version, 0) if provisioned and name in provisioned else 0
        set_aside = own > 0 and held.provisioned_of(name, version.version) < own
        try:
            if reserved or provisioned:
                if not set_aside:
                    _check(held, reserved, provisioned, name, self._account_limit)
            elif len(held.all) >= self._account_limit:
                raise throttled(ACCOUNT_FULL)
        except ApiError as error:
            self.refused[error.members["Reason"]] += 1
            raise
        lease = Lease(held, name, version.version if set_aside else None, spilled=own > 0 and not set_aside)
        held.add(lease)
        _note_peaks(held, lease, reserved, own)
        return lease

    def take_peaks(self) -> dict[AccountKey, Peaks]:
        """The peaks since the last call; the next ones begin with what runs now."""
        found = {}
        for place, held in self._held.items():
            if held.peaks.all:
                found[place], held.peaks = held.peaks, self._levels(place, held)
        return found

    def _levels(self, place: AccountKey, held: Held) -> Peaks:
        provisioned = self._reservations.provisioned(*place)
        return Peaks(
            all=len(held.all),
            unreserved=held.unreserved(self._reservations.reserved(*place)),
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
    if not reserved:
        peaks.unreserved = peaks.all
    elif lease.name not in reserved:
        peaks.unreserved = max(peaks.unreserved, held.unreserved(reserved))
    version = lease.provisioned_version
    if version is not None:
        place = (lease.name, version)
        level = held.provisioned_of(*place)
        if level > peaks.provisioned.get(place, (0, 0))[0]:
            peaks.provisioned[place] = (level, own)


def _check(
    held: Held,
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
    used = held.unreserved(reserved)
    used -= sum(held.provisioned(other) for other in held.by_version if other not in reserved)
    if used >= shared:
        raise throttled(ACCOUNT_FULL)
