"""What invocation needs of others: a function version by name, and a place to run it."""

from typing import Protocol

from lambent.aws.errors import ApiError
from lambent.aws.service import Identity, Source
from lambent.environments.environment import Environment
from lambent.functions.records import FunctionKey, FunctionVersion
from lambent.functions.resolve import Target


class Resolution(Protocol):
    """What a name or ARN, with or without a qualifier, stands for."""

    @property
    def function(self) -> FunctionVersion:
        """What runs now; its state may forbid it."""
        ...

    @property
    def invoked_arn(self) -> str:
        """The ARN in the form that was called: unqualified stays unqualified, `:$LATEST` stays."""
        ...


class Resolver(Protocol):
    def resolve(
        self,
        account: str,
        region: str,
        function_name: str,
        qualifier: str | None = None,
        caller_arn: str | None = None,
    ) -> Resolution:
        """From memory; each call draws anew where an alias has weights.

        Raises ApiError in the words of Invoke (a missing function is printed with `:$LATEST`), and 403 when policies
        do not let the caller. Without `caller_arn` the function must be of `account`, and nobody is asked: give it
        for whoever called us, leave it out when Lambda itself carries on what was accepted before.
        """
        ...


class Placement(Protocol):
    def take(self, version: FunctionVersion, tenant_id: str | None = None) -> Environment | None:
        """The same at once, where one is parked."""
        ...

    def environment_ready(self, environment: Environment) -> None:
        """Give back what was taken and not invoked."""
        ...

    async def acquire(self, version: FunctionVersion, tenant_id: str | None = None) -> Environment:
        """An environment that nobody else has, and no other tenant had; see `environments.pool.Pool.acquire`."""
        ...


class Admission(Protocol):
    def refuses(self, key: FunctionKey) -> ApiError | None:
        """Why no invocation of the function begins now, whatever concurrency there is; from memory, at once."""
        ...


class UrlAccess(Protocol):
    def may_call_url(self, key: FunctionKey, qualifier: str, auth_type: str, caller: Identity | None) -> bool:
        """Whether policies let `caller` (None: anybody, unsigned) call the URL of the function or alias `qualifier`.

        Needs both lambda:InvokeFunctionUrl and lambda:InvokeFunction, the second with lambda:InvokedViaFunctionUrl.
        """
        ...


class ServiceAccess(Protocol):
    def admit_service(self, target: Target, service: str, source: Source) -> None:
        """Raise ApiError 403 unless the policy of the function lets a service invoke it for the resource `source`."""
        ...
