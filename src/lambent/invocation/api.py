"""Invoke, InvokeWithResponseStream and InvokeAsync: from the caller's parameters to a reply in AWS's shape.

A function is resolved from memory; only an event waits for the disk, and is answered when it is there.
"""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from functools import partial

from msgspec import Struct

from lambent.aws.errors import ApiError, conflict, invalid_parameter
from lambent.aws.service import RESPONSE_HEADERS, CallContext, Handler, Parameters, Promised, Result, Source
from lambent.core.clock import Clock
from lambent.environments.request import InvokeRequest, InvokeResult
from lambent.functions.quotas import Quotas
from lambent.functions.records import FunctionVersion, State
from lambent.functions.resolve import INVOKE, address, denied
from lambent.invocation import payload, trace
from lambent.invocation.event_queue import EventQueue
from lambent.invocation.ports import Resolution, Resolver, ServiceAccess
from lambent.invocation.recursion import LoopDetection
from lambent.invocation.router import Router
from lambent.invocation.stream import Stream, pace_of
from lambent.invocation.stream_events import StreamEvents
from lambent.invocation.tenants import tenant_of


class _Asked(Struct, frozen=True):
    """What a call names, found and checked."""

    resolution: Resolution
    event: bytes
    client_context: str
    tenant_id: str | None


class Invocation:
    """The handlers of invocation; `operations` is what `app` adds to the `lambda` service."""

    def __init__(
        self,
        *,
        resolver: Resolver,
        router: Router,
        clock: Clock,
        events: EventQueue,
        loops: LoopDetection | None = None,
        quotas: Quotas | None = None,
        services: ServiceAccess | None = None,
    ) -> None:
        """`loops`: None stops none. `services`: None lets no service invoke for its resources."""
        self._services = services
        self._quotas = quotas or Quotas()
        self._pace = pace_of(self._quotas)
        self._resolver = resolver
        self._router = router
        self._clock = clock
        self._events = events
        self._recursion = loops

    def operations(self) -> dict[str, Handler]:
        return {
            "Invoke": self.invoke,
            "InvokeAsync": self.invoke_async,
            "InvokeWithResponseStream": self.invoke_with_response_stream,
        }

    def invoke(self, context: CallContext, parameters: Parameters) -> Awaitable[Result]:
        """What needs no waiting is done when this returns: a warm invocation is under way then, without a task."""
        invocation_type = parameters.get("InvocationType") or "RequestResponse"
        asked = self._asked(context, parameters, invocation_type)
        version = asked.resolution.function
        if invocation_type == "Event":
            return self._accept(context, asked.resolution, asked.event, asked.tenant_id)
        require_active(version)
        if invocation_type == "DryRun":
            return _dry_run()
        request = self._request(context, parameters, asked)
        running = self._router.invoke(version, request)
        reply = partial(_reply, version.version, request.trace_header)
        return Promised(running, reply) if isinstance(running, asyncio.Future) else _awaited(running, reply)

    async def invoke_with_response_stream(self, context: CallContext, parameters: Parameters) -> Result:
        """The reply begins with the response, and goes on while the function writes."""
        asked = self._asked(context, parameters, "RequestResponse")
        version = asked.resolution.function
        require_active(version)
        if parameters.get("InvocationType") == "DryRun":
            return {"StatusCode": 204}
        request = self._request(context, parameters, asked)
        stream = Stream(self._clock, self._pace)
        stream.start(self._router, version, request)
        await stream.begun()
        return {
            "StatusCode": 200,
            "ExecutedVersion": version.version,
            "EventStream": StreamEvents(stream),
            RESPONSE_HEADERS: {"X-Amzn-Trace-Id": request.trace_header},
        }

    def _asked(self, context: CallContext, parameters: Parameters, invocation_type: str) -> "_Asked":
        body: bytes = parameters.get("Payload") or b""
        payload.check_size(len(body), invocation_type, self._quotas)
        caller: str | None = context.identity.arn
        if context.source is not None:
            self._admit_service(context, context.source, parameters)
            caller = None
        resolution = self._resolver.resolve(
            context.account, context.region, parameters["FunctionName"], parameters.get("Qualifier"), caller
        )
        tenant_id = tenant_of(resolution.function, parameters.get("TenantId"))
        _refuse_unknown(parameters)
        event = payload.checked(body)
        client_context = _client_context(parameters.get("ClientContext"), self._quotas.max_client_context_bytes)
        return _Asked(resolution, event, client_context, tenant_id)

    def _admit_service(self, context: CallContext, source: Source, parameters: Parameters) -> None:
        """A service of ours calls for a resource of whatever account, in the account of the function."""
        name, qualifier = parameters["FunctionName"], parameters.get("Qualifier")
        target = address(context.account, context.region, name, qualifier)
        service = context.identity.arn
        if self._services is None:
            raise denied(target.arn, INVOKE, service)
        self._services.admit_service(target, service, source)

    def _request(self, context: CallContext, parameters: Parameters, asked: "_Asked") -> InvokeRequest:
        version = asked.resolution.function
        if self._recursion is not None:
            self._recursion.check(version, asked.resolution.invoked_arn, context.trace_header)
        trace_header = trace.outgoing(
            context.trace_header, epoch_ms=self._clock.epoch_ms(), function_arn=version.function_arn
        )
        return InvokeRequest(
            request_id=context.request_id,
            payload=asked.event,
            function_arn=asked.resolution.invoked_arn,
            trace_header=trace_header,
            client_context=asked.client_context,
            keep_tail=parameters.get("LogType") == "Tail",
            tenant_id=asked.tenant_id,
        )

    async def _accept(
        self, context: CallContext, resolution: Resolution, event: bytes, tenant_id: str | None
    ) -> Result:
        header = await self._events.accept(
            resolution, event, context.request_id, context.trace_header, tenant_id=tenant_id
        )
        return {"StatusCode": 202, RESPONSE_HEADERS: {"X-Amzn-Trace-Id": header}}

    async def invoke_async(self, context: CallContext, parameters: Parameters) -> Result:
        """The operation that Invoke with InvocationType Event has replaced."""
        body: bytes = parameters.get("InvokeArgs") or b""
        payload.check_size(len(body), "InvokeAsync", self._quotas)
        resolution = self._resolver.resolve(
            context.account, context.region, parameters["FunctionName"], None, context.identity.arn
        )
        # The operation is older than tenants, and has no place for one.
        tenant_of(resolution.function, None)
        await self._events.accept(resolution, payload.checked(body), context.request_id, context.trace_header)
        return {"Status": 202}


async def _dry_run() -> Result:
    return {"StatusCode": 204}


async def _awaited(running: Awaitable[InvokeResult], reply: Callable[[InvokeResult], Result]) -> Result:
    return reply(await running)


def _reply(version: str, trace_header: str, result: InvokeResult) -> Result:
    reply = {
        "StatusCode": 200,
        "ExecutedVersion": version,
        "Payload": result.payload,
        RESPONSE_HEADERS: {"X-Amzn-Trace-Id": trace_header},
    }
    if result.error_type is not None:
        # Lambda has said Unhandled for every error since the callbacks of its first Node runtime went.
        reply["FunctionError"] = "Unhandled"
    if result.log_tail is not None:
        reply["LogResult"] = base64.b64encode(result.log_tail).decode()
    return reply


def _refuse_unknown(parameters: Parameters) -> None:
    if parameters.get("DurableExecutionName") is not None:
        raise invalid_parameter("DurableExecutionName is only supported for durable functions.")


def require_active(version: FunctionVersion) -> None:
    if version.has_snapshot and version.state in (State.PENDING, State.INACTIVE):
        raise ApiError(
            "SnapStartNotReadyException",
            "Lambda is initializing your function. You can invoke the function when the function state becomes Active.",
        )
    if version.state is not State.ACTIVE:
        raise conflict(
            "The operation cannot be performed at this time. "
            f"The function is currently in the following state: {version.state}"
        )


def _client_context(encoded: str | None, limit: int) -> str:
    """The JSON text for the runtime's header. Line breaks can only stand between its tokens: a space means the same."""
    if not encoded:
        return ""
    if len(encoded) > limit:
        raise ApiError(
            "InvalidRequestContentException",
            f"Client context value must be less than or equal to {limit} bytes.",
        )
    try:
        text = base64.b64decode(encoded, validate=True)
    except ValueError:
        text = b""
    # Runtimes look into it before the handler is called: anything but an object would fail there.
    if not text.lstrip().startswith(b"{") or not payload.is_json(text):
        raise ApiError("InvalidRequestContentException", "Client context must be a valid Base64-encoded JSON object.")
    return text.decode().replace("\r", " ").replace("\n", " ")
