"""The ASGI application: receive, route, authenticate, dispatch, respond, in one straight line.

Knows no service by name; what it serves is given to it. `lambda:Invoke` may take the short way of `invoke`, or the
direct way of `direct`, which give exactly what the long way gives. Every request that gets here is answered or its
client is gone.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import partial
from typing import Any, Final

from msgspec.structs import replace

from lambent.aws.errors import ApiError, not_built
from lambent.aws.limits import PLAIN_REQUEST_BYTES, request_too_large
from lambent.aws.models import signed_as
from lambent.aws.outside import REQUEST_BYTES, Outside, UnknownService
from lambent.aws.service import CallContext, Service
from lambent.aws.shapes import OperationModel
from lambent.core.clock import Clock, SystemClock
from lambent.core.ids import request_id as new_request_id
from lambent.gateway.authenticate import Authenticator, Unchecked
from lambent.gateway.body import READER, BodyReader, Budget, Disconnected, Receive, TooLarge
from lambent.gateway.direct import direct_way
from lambent.gateway.dispatch import Api, Apis, answered
from lambent.gateway.elsewhere import Elsewhere, passed_on
from lambent.gateway.function_urls import UrlRoute
from lambent.gateway.hosts import HostRule
from lambent.gateway.http import Headers, HttpRequest, HttpResponse, RouteHandler, adopted_id, headers_of
from lambent.gateway.keys import KnownKeys
from lambent.gateway.reply import Send, respond
from lambent.gateway.s3.addressing import may_name_bucket
from lambent.gateway.s3.recognised import is_for_s3, is_of_control
from lambent.gateway.sigv4 import Credential, credential_of, signing_name

Scope = MutableMapping[str, Any]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

ADMIN: Final = "/_lambent/"
SANDBOX_BODIES_BYTES: Final = 160 * 1024 * 1024
"""Of all functions together, so that they cannot keep the clients outside from uploading."""
ENVIRONMENT_BODIES_BYTES: Final = 72 * 1024 * 1024
"""Of one environment: the largest upload there is, and no more, so that it leaves some to the others."""


class Gateway:
    """What is shared by all listeners: the services and their models, and the memory for bodies."""

    def __init__(
        self,
        services: Mapping[str, Service],
        *,
        routes: Mapping[str, RouteHandler] | None = None,
        allowed_hosts: tuple[str, ...] = (),
        urls: UrlRoute | None = None,
        elsewhere: Elsewhere | None = None,
        keys: KnownKeys | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`routes`: handlers of other paths, on public listeners alone; one that ends in a slash takes all below.
        `urls`: function URLs, on public listeners alone."""
        clock = clock or SystemClock()
        self.apis = Apis(services, partial(_api, clock))
        self.elsewhere = elsewhere or Elsewhere()
        self.keys = keys or KnownKeys(clock)
        self.routes = routes or {}
        self.budget = Budget()
        self.sandbox_budget = Budget(SANDBOX_BODIES_BYTES)
        self.allowed_hosts = allowed_hosts
        self.urls = urls
        """This and `routes` may be set until the first public listener is made."""

    def public(self) -> "Front":
        hosts = HostRule(self.allowed_hosts)
        longest_first = dict(sorted(self.routes.items(), key=lambda item: -len(item[0])))
        return Front(self.apis, self.elsewhere, Unchecked(self.keys), hosts, longest_first, self.budget, self.urls)

    def private(self, authenticator: Authenticator) -> "Front":
        """For a listener inside a sandbox: AWS APIs only."""
        budget = Budget(ENVIRONMENT_BODIES_BYTES, part_of=self.sandbox_budget)
        return Front(self.apis, self.elsewhere, authenticator, HostRule(), {}, budget)


def _api(clock: Clock, service: Service) -> Api:
    if service.name != "s3":
        return Api(service)
    # Here, since a server that nobody asks for S3 needs none of it.
    from lambent.gateway.s3.api import S3Api

    return S3Api(service, clock)


class Front:
    """The ASGI callable of one kind of listener. `direct` answers the simplest requests without ASGI."""

    __slots__ = ("_apis", "_authenticator", "_budget", "_elsewhere", "_hosts", "_routes", "_urls", "direct")

    def __init__(
        self,
        apis: Apis,
        elsewhere: Elsewhere,
        authenticator: Authenticator,
        hosts: HostRule,
        routes: Mapping[str, RouteHandler],
        budget: Budget,
        urls: UrlRoute | None = None,
    ) -> None:
        self._apis = apis
        self._elsewhere = elsewhere
        self._budget = budget
        self._authenticator = authenticator
        self._hosts = hosts
        self._routes = routes
        self._urls = urls
        self.direct = direct_way(apis, elsewhere, authenticator, hosts, urls)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = headers_of(scope["headers"])
        request_id = adopted_id(headers) or new_request_id()
        body = BodyReader(receive, headers, self._budget)
        scope.setdefault("state", {})[READER] = body
        head = HttpRequest(
            scope["method"],
            scope["raw_path"].decode("latin-1"),
            scope["query_string"].decode("latin-1"),
            headers,
            b"",
            f"{scope['scheme']}://{headers.get('host', '')}",
            (scope.get("client") or ("", 0))[0],
            request_id,
        )
        try:
            response = await answered(None, head, self._answer(head, request_id, body), request_id)
            await respond(send, response, request_id, body)
        except Disconnected:
            return
        finally:
            body.release()

    async def _answer(self, head: HttpRequest, request_id: str, body: BodyReader) -> HttpResponse:
        if self._urls is not None and (address := self._urls.address(head, self._hosts)) is not None:
            return await self._urls.answer(address, head, request_id, body)
        admin = head.path.startswith(ADMIN) or head.path == ADMIN[:-1]
        if not admin and (s3 := await self._s3(head)) is not None and s3.own_way is not None:
            # Which pages may send it is the business of the bucket.
            self._hosts.check(head.headers.get("host"), None)
            return await answered(s3, head, s3.own_way(head, body, self._authenticator), request_id)
        self._hosts.check(head.headers.get("host"), head.headers.get("origin"), _fetch_site(head))
        if admin:
            return await self._extra(head, body)
        target = head.headers.get("x-amz-target")
        api = None if target is None else self._apis.by_target(target)
        return await answered(api, head, self._aws(api, head, request_id, body), request_id)

    async def _s3(self, head: HttpRequest) -> Api | None:
        """S3, when the request is for it and it is ours. Much of what it gets is not signed."""
        if not self._apis.has("s3") or self._elsewhere.redirected("s3") is not None:
            return None
        meant = is_for_s3(head)
        if meant is False:
            return None
        name = head.path[1:].partition("/")[0]
        if meant is None and not (may_name_bucket(name) and await self._apis.has_bucket(name)):
            return None
        return self._apis.by_name("s3")

    async def _extra(self, head: HttpRequest, body: BodyReader) -> HttpResponse:
        for prefix, handler in self._routes.items():
            if head.path == prefix or (prefix.endswith("/") and head.path.startswith(prefix)):
                return await handler(replace(head, body=await read_body(body, PLAIN_REQUEST_BYTES, "Lambent")))
        raise ApiError("NotFoundException", f"Nothing is served at {head.path[:200]}", status=404)

    async def _aws(self, api: Api | None, head: HttpRequest, request_id: str, body: BodyReader) -> HttpResponse:
        credential = credential_of(head.headers, head.query)
        if (redirected := self._elsewhere.redirected(credential.service)) is not None:
            return await self._outside(redirected, credential, head, body)
        if api is None and not is_of_control(head):
            api = self._apis.by_signing_name(credential.service)
        if api is None:
            return await self._neighbour(credential, head, body)
        api = api.spoken_by(head)
        return await answered(api, head, self._operation(api, credential, head, request_id, body), request_id)

    async def _neighbour(self, credential: Credential, head: HttpRequest, body: BodyReader) -> HttpResponse:
        """A service that is not ours: a word of AWS, or of nobody."""
        signing_name = credential.service
        names = await asyncio.to_thread(signed_as, signing_name)
        if not names:
            raise ApiError("UnknownOperationException", f"No service is called {signing_name[:64]!r}", status=404)
        if self._elsewhere.neighbour is not None:
            try:
                return await self._outside(self._elsewhere.neighbour, credential, head, body)
            except UnknownService:
                pass
        name = signing_name if signing_name in names else names[0]
        raise not_built(name, f"The service {name}")

    async def _outside(
        self, outside: Outside, credential: Credential, head: HttpRequest, body: BodyReader
    ) -> HttpResponse:
        request = replace(head, body=await read_body(body, REQUEST_BYTES, credential.service))
        identity = self._authenticator.authenticate(request, credential)
        return await passed_on(outside, request, identity, credential)

    async def _operation(
        self, api: Api, credential: Credential, head: HttpRequest, request_id: str, body: BodyReader
    ) -> HttpResponse:
        if api.routes_by_form:
            request = replace(head, body=await read_body(body, PLAIN_REQUEST_BYTES, api.service.name))
            match = api.match(request)
        else:
            match = api.match(head)
            content = await read_body(body, api.limit_bytes(match.operation), match.operation.name)
            request = HttpRequest(head.method, head.path, head.query, head.headers, content, head.base_url)
        identity = self._authenticator.authenticate(request, credential)
        if self._elsewhere.neighbour is not None and api.leaves(match.operation.name):
            return await passed_on(self._elsewhere.neighbour, request, identity, credential)
        _check_request_id(match.operation, head.headers)
        context = CallContext(
            account=identity.account,
            region=credential.region,
            request_id=request_id,
            identity=identity,
            base_url=head.base_url,
            trace_header=head.headers.get("x-amzn-trace-id"),
        )
        if match.operation.name in api.service.waiting:
            return await body.while_asked(api.call(context, match, request))
        return await api.call(context, match, request)


def _fetch_site(head: HttpRequest) -> str | None:
    """What the browser says of the page that sends; nothing where a page only shows an object of S3."""
    site = head.headers.get("sec-fetch-site")
    shows = site is not None and head.method in ("GET", "HEAD") and signing_name(head) == "s3"
    return None if shows else site


def _check_request_id(operation: OperationModel, headers: Headers) -> None:
    """To Invoke a request id that is no UUID is an error; elsewhere it is ignored."""
    if "x-amzn-requestid" not in headers or adopted_id(headers) is not None:
        return
    if any(shape.name == "InvalidRequestContentException" for shape in operation.error_shapes):
        raise ApiError("InvalidRequestContentException", "The x-amzn-RequestId header must be a UUID.", status=400)


async def read_body(body: BodyReader, limit_bytes: int, operation: str) -> bytes:
    """Raises `ApiError` 413 in AWS's words."""
    try:
        return await body.read(limit_bytes)
    except TooLarge as error:
        raise request_too_large(limit_bytes, operation) from error
