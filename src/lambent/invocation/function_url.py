"""Requests to function URLs: whose URL it is, who may call it, the invocation, the reply.

Knows no HTTP server: the gateway finds the address in a request and authenticates its signer. Enters at the router, as
every invocation does. Formats are in `url_event`, `url_response`, `url_stream`
and `url_cors`.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol

import orjson

from lambent.aws.errors import ApiError, PlatformFault
from lambent.aws.service import Identity
from lambent.core.clock import Clock
from lambent.environments.request import InvokeRequest
from lambent.functions.quotas import Quotas
from lambent.functions.records import Function, FunctionKey, UrlConfig
from lambent.invocation import trace
from lambent.invocation.api import require_active
from lambent.invocation.metrics import Metrics
from lambent.invocation.ports import Resolver, UrlAccess
from lambent.invocation.router import Router
from lambent.invocation.stream import Stream, pace_of
from lambent.invocation.url_cors import is_preflight, preflight, with_cors
from lambent.invocation.url_event import UrlRequest, event_of
from lambent.invocation.url_response import UrlResponse, failed, message, response_of
from lambent.invocation.url_stream import reply_of

IAM: Final = "AWS_IAM"
RESPONSE_STREAM: Final = "RESPONSE_STREAM"
_DENIED: Final = "AccessDeniedException"
_FORBIDDEN: Final = (
    "Forbidden. For troubleshooting Function URL authorization issues, see: "
    "https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"
)


class Functions(Protocol):
    """The read model."""

    def get(self, key: FunctionKey) -> Function | None: ...

    def url(self, url_id: str) -> tuple[FunctionKey, str] | None: ...


@dataclass(frozen=True, slots=True)
class Url:
    key: FunctionKey
    qualifier: str
    """The alias; "" for the function itself."""
    config: UrlConfig

    @property
    def signed(self) -> bool:
        """Whether its requests must be."""
        return self.config.auth_type == IAM


@dataclass(slots=True)
class Counted:
    """A request to a URL while it is answered."""

    status: int = 0


class FunctionUrls:
    def __init__(
        self,
        *,
        functions: Functions,
        resolver: Resolver,
        router: Router,
        access: UrlAccess,
        clock: Clock,
        quotas: Quotas,
        metrics: Metrics | None = None,
    ) -> None:
        self.max_body_bytes = quotas.max_payload_bytes
        self._pace = pace_of(quotas)
        self._functions = functions
        self._resolver = resolver
        self._router = router
        self._access = access
        self._clock = clock
        self._metrics = metrics or Metrics()

    def find(self, url_id: str, region: str | None) -> Url | None:
        """`region`: as the address says, which must be true."""
        owner = self._functions.url(url_id)
        if owner is None:
            return None
        key, qualifier = owner
        function = self._functions.get(key)
        config = None if function is None else function.attached(UrlConfig, qualifier)
        if config is None or region not in (None, key.region):
            return None
        return Url(key, qualifier, config)

    @contextmanager
    def counted(self, url: Url) -> Iterator["Counted"]:
        """The metrics of one request: set its status. What ends with PlatformFault was answered with a 500, and who
        hung up was not answered."""
        began, counted = self._clock.monotonic(), Counted()
        try:
            yield counted
        except PlatformFault:
            counted.status = 500
            raise
        finally:
            if counted.status:
                self._count(url.key, counted.status, (self._clock.monotonic() - began) * 1000)

    def _count(self, key: FunctionKey, status: int, took_ms: float) -> None:
        self._metrics.count(key, "UrlRequestCount")
        self._metrics.observe(key, "UrlRequestLatency", took_ms)
        if status >= 400:
            self._metrics.count(key, "Url5xxCount" if status >= 500 else "Url4xxCount")

    def refusal(self, url: Url, caller: Identity | None) -> UrlResponse | None:
        """The reply when `caller` may not call the URL; None when it may."""
        if self._access.may_call_url(url.key, url.qualifier, url.config.auth_type, caller):
            return None
        return forbidden()

    def preflight(self, url: Url, method: str, headers: Mapping[str, str]) -> UrlResponse | None:
        """The reply to a preflight request, which carries no signature and does not reach the function."""
        cors = url.config.cors
        return preflight(cors, headers) if cors is not None and is_preflight(method, headers) else None

    async def answer(self, url: Url, request: UrlRequest) -> UrlResponse:
        """Invoke the function. Raises PlatformFault."""
        try:
            response = await self._invoke(url, request)
        except ApiError as error:
            response = _refused(error)
        return with_cors(url.config.cors, request.headers, response)

    async def _invoke(self, url: Url, request: UrlRequest) -> UrlResponse:
        key, epoch_ms = url.key, self._clock.epoch_ms()
        try:
            resolution = self._resolver.resolve(key.account, key.region, key.name, url.qualifier or None)
        except ApiError:
            # The alias is gone.
            return forbidden()
        version = resolution.function
        require_active(version)
        trace_header = trace.outgoing(request.headers.get("x-amzn-trace-id"), epoch_ms=epoch_ms, function_arn=key.arn)
        event = event_of(
            request,
            url_id=url.config.url_id,
            account=key.account,
            trace_id=request.headers.get("x-amzn-trace-id") or trace_header.partition(";")[0],
            epoch_ms=epoch_ms,
        )
        if len(event.get("body", "")) > self.max_body_bytes:
            return too_large(self.max_body_bytes)
        invocation = InvokeRequest(
            request_id=request.request_id,
            payload=orjson.dumps(event),
            function_arn=resolution.invoked_arn,
            trace_header=trace_header,
        )
        if url.config.invoke_mode == RESPONSE_STREAM:
            stream = Stream(self._clock, self._pace)
            stream.start(self._router, version, invocation)
            response = await reply_of(stream)
        else:
            result = await self._router.invoke(version, invocation)
            response = failed() if result.error_type is not None else response_of(result.payload)
        return response.adding(("X-Amzn-Trace-Id", trace_header))


def unknown() -> UrlResponse:
    return message(403, _DENIED, {"Message": None})


def forbidden() -> UrlResponse:
    return message(403, _DENIED, {"Message": _FORBIDDEN})


def too_large(limit_bytes: int) -> UrlResponse:
    """In base64 a body counts as it is handed to the function."""
    text = f"Request must be smaller than {limit_bytes} bytes for the InvokeFunction operation"
    return message(413, "RequestEntityTooLargeException", {"Message": text})


def _refused(error: ApiError) -> UrlResponse:
    if error.code != "TooManyRequestsException":
        return failed()
    return message(429, error.code, {**error.members, "message": error.message}).adding(*error.headers.items())
