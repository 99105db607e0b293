"""From a function version to a result: take a lease, get an environment, hand the request over.

Everything that invokes comes through here. It waits for nothing durable, and a caller who goes away stops neither
the function nor the return of the lease.
"""

from lambent.aws.errors import ApiError
from lambent.environments.request import InvokeRequest, InvokeResult
from lambent.functions.records import FunctionVersion
from lambent.invocation.concurrency import Concurrency
from lambent.invocation.leases import Kind, Lease
from lambent.invocation.metrics import Metrics, qualifier_of
from lambent.invocation.ports import Admission, Placement


class Router:
    def __init__(
        self,
        concurrency: Concurrency,
        placement: Placement,
        metrics: Metrics | None = None,
        admission: Admission | None = None,
    ) -> None:
        self._concurrency = concurrency
        self._placement = placement
        self._metrics = metrics or Metrics()
        self._admission = admission

    async def invoke(
        self, version: FunctionVersion, request: InvokeRequest, *, kind: Kind = Kind.REQUEST
    ) -> InvokeResult:
        """Raises ApiError when throttled, PlatformFault when the environment could not be made or was stopped."""
        if self._admission is not None and (refusal := self._admission.refuses(version.key)) is not None:
            raise refusal
        try:
            async with self._concurrency.lease(version, kind=kind) as lease:
                environment = await self._placement.acquire(version, request.tenant_id)
                result = environment.invoke(request, lease.release)
                lease.keep()
        except ApiError as error:
            if error.code == "TooManyRequestsException":
                self._count("Throttles", version, request)
            raise
        if lease.spilled or lease.provisioned_version is not None:
            self._count_provisioned(lease, version, request)
        return await result

    def _count_provisioned(self, lease: Lease, version: FunctionVersion, request: InvokeRequest) -> None:
        name = "ProvisionedConcurrencySpilloverInvocations" if lease.spilled else "ProvisionedConcurrencyInvocations"
        self._count(name, version, request)

    def _count(self, name: str, version: FunctionVersion, request: InvokeRequest) -> None:
        qualifier = qualifier_of(request.function_arn)
        self._metrics.count(version.key, name, qualifier=qualifier, version=version.version)
