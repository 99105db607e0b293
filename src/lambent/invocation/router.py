"""From a function version to a result: take a lease, get an environment, hand the request over.

Everything that invokes comes through here. It waits for nothing durable, and a caller who goes away stops neither
the function nor the return of the lease.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

from lambent.aws.errors import ApiError, PlatformFault
from lambent.environments.environment import Environment
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

    def invoke(
        self, version: FunctionVersion, request: InvokeRequest, *, kind: Kind = Kind.REQUEST
    ) -> asyncio.Future[InvokeResult] | Coroutine[Any, Any, InvokeResult]:
        """A future where a parked environment has the request already, a coroutine where one has to be waited for.

        Raises ApiError when throttled, PlatformFault when the environment could not be made or was stopped, both at
        once or when awaited.
        """
        if self._admission is not None and (refusal := self._admission.refuses(version.key)) is not None:
            self._count_throttle(refusal, version, request)
            raise refusal
        environment = self._placement.take(version, request.tenant_id)
        if environment is None:
            return self._wait_and_invoke(version, request, kind)
        try:
            lease = self._concurrency.lease(version, kind=kind)
        except ApiError as error:
            self._placement.environment_ready(environment)
            self._count_throttle(error, version, request)
            raise
        try:
            result = environment.invoke(request, lease.release)
        except PlatformFault:
            lease.release()
            raise
        self._count_provisioned(lease, environment, version, request)
        return result

    async def _wait_and_invoke(self, version: FunctionVersion, request: InvokeRequest, kind: Kind) -> InvokeResult:
        try:
            async with self._concurrency.lease(version, kind=kind) as lease:
                environment = await self._placement.acquire(version, request.tenant_id)
                result = environment.invoke(request, lease.release)
                lease.keep()
        except ApiError as error:
            self._count_throttle(error, version, request)
            raise
        self._count_provisioned(lease, environment, version, request)
        return await result

    def _count_throttle(self, error: ApiError, version: FunctionVersion, request: InvokeRequest) -> None:
        if error.code == "TooManyRequestsException":
            self._count("Throttles", version, request)

    def _count_provisioned(
        self, lease: Lease, environment: Environment, version: FunctionVersion, request: InvokeRequest
    ) -> None:
        if not lease.spilled and lease.provisioned_version is None:
            return
        # What is set aside may not have its environments yet.
        if not lease.spilled and environment.identity.provisioned:
            self._count("ProvisionedConcurrencyInvocations", version, request)
        else:
            self._count("ProvisionedConcurrencySpilloverInvocations", version, request)

    def _count(self, name: str, version: FunctionVersion, request: InvokeRequest) -> None:
        qualifier = qualifier_of(request.function_arn)
        self._metrics.count(version.key, name, qualifier=qualifier, version=version.version)
