"""The Invoke operation over fakes: parameters in, AWS's reply out."""

import base64
from dataclasses import dataclass
from typing import Any

import pytest
from msgspec.structs import replace

from lambent.aws.errors import ApiError, not_found
from lambent.aws.service import RESPONSE_HEADERS, CallContext, Identity, Source
from lambent.functions.records import FunctionVersion, State
from lambent.functions.resolve import INVOKE, Target, denied
from lambent.invocation.api import Invocation
from lambent.testing.scripted_runtime import Echo, Fail, Hang, Next
from tests.unit.environments.kit import Machine, function_version, within

ARN = "arn:aws:lambda:us-east-1:000000000000:function:thumbnail"
CONTEXT = CallContext(
    account="000000000000",
    region="us-east-1",
    request_id="8f507cfc-2a3f-4f1e-9c0b-1d2e3f405060",
    identity=Identity("000000000000", "arn:aws:iam::000000000000:root", "test"),
    base_url="http://127.0.0.1:4566",
)


@dataclass(frozen=True)
class Resolved:
    function: FunctionVersion
    invoked_arn: str


@dataclass(frozen=True)
class OneFunction:
    """A Resolver that knows `thumbnail`."""

    function: FunctionVersion

    def resolve(
        self,
        account: str,
        region: str,
        function_name: str,
        qualifier: str | None = None,
        caller_arn: str | None = None,
    ) -> Resolved:
        if function_name != "thumbnail":
            raise not_found(f"Function not found: arn:aws:lambda:{region}:{account}:function:{function_name}:$LATEST")
        return Resolved(self.function, f"{ARN}:{qualifier}" if qualifier else ARN)


def invocation(machine: Machine, **changes: Any) -> Invocation:
    # What events do is tested where their queue is.
    events: Any = None
    resolver = OneFunction(function_version(**changes))
    return Invocation(resolver=resolver, router=machine.router, clock=machine.clock, events=events)


async def call(machine: Machine, *, version: dict[str, Any] | None = None, **parameters: Any) -> dict[str, Any]:
    handler = invocation(machine, **(version or {})).operations()["Invoke"]
    return dict(await within(handler(CONTEXT, {"FunctionName": "thumbnail"} | parameters)))


async def test_a_reply_has_status_version_payload_and_trace() -> None:
    async with Machine() as machine:
        reply = await call(machine, Payload=b'{"a": 1}')
        headers = reply.pop(RESPONSE_HEADERS)
        assert reply == {"StatusCode": 200, "ExecutedVersion": "$LATEST", "Payload": b'{"a": 1}'}
        assert headers["X-Amzn-Trace-Id"].startswith("Root=1-")


async def test_no_payload_is_an_empty_object() -> None:
    async with Machine() as machine:
        assert (await call(machine))["Payload"] == b"{}"


async def test_the_function_sees_the_arn_as_it_was_called() -> None:
    async with Machine() as machine:
        await call(machine, Qualifier="$LATEST")
        events = machine.driver.sandboxes[0].runtimes[0].events
        assert events[0].headers["lambda-runtime-invoked-function-arn"] == f"{ARN}:$LATEST"


async def test_every_function_error_is_unhandled() -> None:
    async with Machine(((Next(), Fail(b'{"errorMessage":"boom"}'), Echo()),)) as machine:
        reply = await call(machine)
        assert (reply["StatusCode"], reply["FunctionError"]) == (200, "Unhandled")
        assert reply["Payload"] == b'{"errorMessage":"boom"}'


async def test_log_type_tail_adds_the_log() -> None:
    async with Machine() as machine:
        reply = await call(machine, LogType="Tail")
        assert base64.b64decode(reply["LogResult"]).startswith(b"START RequestId: 8f507cfc")


async def test_dry_run_is_204_and_starts_nothing() -> None:
    async with Machine(((Hang(),),)) as machine:
        assert await call(machine, InvocationType="DryRun") == {"StatusCode": 204}
        assert not machine.driver.sandboxes


async def test_a_missing_function_is_named_with_latest() -> None:
    async with Machine() as machine:
        with pytest.raises(ApiError) as refused:
            await call(machine, FunctionName="nope")
        assert refused.value.message == f"Function not found: {ARN.replace('thumbnail', 'nope')}:$LATEST"


@pytest.mark.parametrize("state", [State.PENDING, State.FAILED])
async def test_a_function_that_is_not_active_is_a_conflict(state: State) -> None:
    async with Machine() as machine:
        with pytest.raises(ApiError) as refused:
            await call(machine, version={"state": state})
        assert refused.value.code == "ResourceConflictException"
        assert refused.value.message == (
            f"The operation cannot be performed at this time. The function is currently in the following state: {state}"
        )


async def test_a_client_context_is_decoded_for_the_runtime() -> None:
    async with Machine() as machine:
        encoded = base64.b64encode(b'{"custom":\r\n{"a":"b"}}').decode()
        await call(machine, ClientContext=encoded)
        events = machine.driver.sandboxes[0].runtimes[0].events
        assert events[0].headers["lambda-runtime-client-context"] == '{"custom":  {"a":"b"}}'


@pytest.mark.parametrize(
    "bad", ["%%%", base64.b64encode(b"not json").decode(), base64.b64encode(b"[1]").decode(), "A" * 3584, "caf\u00e9"]
)
async def test_a_client_context_that_is_not_json_is_refused(bad: str) -> None:
    async with Machine() as machine:
        with pytest.raises(ApiError) as refused:
            await call(machine, ClientContext=bad)
        assert refused.value.code == "InvalidRequestContentException"


async def test_the_account_limit_throttles_in_lambdas_words() -> None:
    async with Machine(account_limit=0) as machine:
        with pytest.raises(ApiError) as refused:
            await call(machine)
        error = refused.value
        assert (error.code, error.message) == ("TooManyRequestsException", "Rate Exceeded.")
        assert error.members == {"Reason": "ConcurrentInvocationLimitExceeded", "Type": "User"}
        assert "Retry-After" in error.headers


async def test_the_callers_trace_goes_on() -> None:
    async with Machine() as machine:
        handler = invocation(machine).operations()["Invoke"]
        context = replace(
            CONTEXT,
            trace_header="Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
        )
        reply = await within(handler(context, {"FunctionName": "thumbnail"}))
        trace = reply[RESPONSE_HEADERS]["X-Amzn-Trace-Id"]
        assert trace.startswith("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=")
        assert ";Sampled=1;Lineage=1:" in trace
        assert "53995c3f42cd8ad8" not in trace


BUCKET = Source("arn:aws:s3:::photos", "111122223333")
S3_CALLS = replace(CONTEXT, identity=Identity("000000000000", "s3.amazonaws.com", ""), source=BUCKET)


@dataclass(frozen=True)
class OneBucket:
    """Lets S3 invoke for one bucket."""

    def admit_service(self, target: Target, service: str, source: Source) -> None:
        if (service, source) != ("s3.amazonaws.com", BUCKET):
            raise denied(target.arn, INVOKE, service)


async def test_a_service_invokes_for_the_resources_that_the_policy_names_alone() -> None:
    async with Machine() as machine:
        events: Any = None
        resolver = OneFunction(function_version())
        asked = {"FunctionName": "thumbnail"}
        open_to_one = Invocation(
            resolver=resolver, router=machine.router, clock=machine.clock, events=events, services=OneBucket()
        )
        assert (await within(open_to_one.invoke(S3_CALLS, asked)))["StatusCode"] == 200
        other = replace(S3_CALLS, source=Source("arn:aws:s3:::other", "111122223333"))
        for handler, context in ((open_to_one, other), (invocation(machine), S3_CALLS)):
            with pytest.raises(ApiError) as refused:
                handler.invoke(context, asked)
            assert refused.value.status == 403
