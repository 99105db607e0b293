"""From a function version to a result: take a lease, get an environment, hand the request over.

Everything that invokes comes through here. It waits for nothing durable, and a caller who goes away stops neither
the function nor the return of the lease.
"""

from lambent.environments.request import InvokeRequest, InvokeResult
from lambent.functions.records import FunctionVersion
from lambent.invocation.concurrency import Concurrency
from lambent.invocation.ports import Placement


class Router:
    def __init__(self, concurrency: Concurrency, placement: Placement) -> None:
        self._concurrency = concurrency
        self._placement = placement

    async def invoke(self, version: FunctionVersion, request: InvokeRequest) -> InvokeResult:
        """Raises ApiError when throttled, PlatformFault when the environment could not be made or was stopped."""
        async with self._concurrency.lease(version.account, version.region, version.name, version.version) as lease:
            environment = await self._placement.acquire(version)
            result = environment.invoke(request, lease.release)
            lease.keep()
        return await result
