"""Concurrency as leases: how many invocations of an account run at one time.

The number in use is the number of leases that exist; nothing is counted beside them, so nothing can drift. A lease
is a context manager; once an environment has the invocation it is kept beyond the block, and the environment
releases it, because AWS counts an invocation until the runtime asks for the next one.
"""

from contextlib import AbstractAsyncContextManager
from types import TracebackType

from lambent.aws.errors import throttled

AccountKey = tuple[str, str]
"""(account, region)"""


class Lease(AbstractAsyncContextManager["Lease"]):
    """One running invocation. Released at the end of the block unless kept, and then by `release`."""

    __slots__ = ("_held", "_kept")

    def __init__(self, held: "set[Lease]") -> None:
        self._held = held
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
        self._held.discard(self)


class Concurrency:
    """The limit of each account and region, and the leases that are held."""

    def __init__(self, account_limit: int) -> None:
        self._account_limit = account_limit
        self._held: dict[AccountKey, set[Lease]] = {}

    def in_use(self, account: str, region: str) -> int:
        return len(self._held.get((account, region), ()))

    def lease(self, account: str, region: str) -> Lease:
        """A lease, taken now. Raises TooManyRequestsException when the account's limit is reached."""
        held = self._held.setdefault((account, region), set())
        if len(held) >= self._account_limit:
            raise throttled("ConcurrentInvocationLimitExceeded")
        lease = Lease(held)
        held.add(lease)
        return lease
