"""One operation: parse, validate, call its handler, serialise. Every failure becomes a reply here.

One of the two places that catch `Exception`: what is neither the caller's mistake nor a `PlatformFault` is a bug,
logged with its stack and answered as a ServiceException.
"""

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from msgspec.structs import replace

from lambent.aws.errors import ApiError, not_built
from lambent.aws.limits import CODE_REQUEST_BYTES, PLAIN_REQUEST_BYTES
from lambent.aws.models import children, metadata, service_model
from lambent.aws.service import (
    RESPONSE_HEADERS,
    RESPONSE_STATUS,
    CallContext,
    Handler,
    Parameters,
    Promised,
    Result,
    Service,
)
from lambent.aws.shapes import OperationModel, ServiceModel, Shape
from lambent.aws.streams import Upload, for_caller
from lambent.aws.validation import failures
from lambent.gateway.authenticate import Authenticator
from lambent.gateway.body import BodyReader, Disconnected
from lambent.gateway.http import HttpRequest, HttpResponse
from lambent.gateway.invoke import InvokeShortWay
from lambent.gateway.protocols import RestJson, WireProtocol, eventstream, protocol_of
from lambent.gateway.protocols.large_blobs import LARGE_BYTES
from lambent.gateway.protocols.query import fields_of
from lambent.gateway.protocols.spoken import spoken_in
from lambent.gateway.protocols.tokens import in_words_of
from lambent.gateway.quirks import Dialect, quirks_of, refusal
from lambent.gateway.route import FormRouter, Match, Router, router_of
from lambent.gateway.sigv4 import signing_name

logger = logging.getLogger(__name__)

OwnWay = Callable[[HttpRequest, BodyReader, Authenticator], Awaitable[HttpResponse]]

_FAILED: Final = "A request failed"
_OF_THE_REPLY: Final = (RESPONSE_HEADERS, RESPONSE_STATUS)
"""Keys of results that are no members of the model."""


class Api:
    """A service with what is made from its model. Built once, at its first call."""

    def __init__(self, service: Service, dialect: Dialect | None = None) -> None:
        """`dialect`: how the service is spoken, where that is not what its model says."""
        self.service = service
        self._quirks = quirks_of(service.name)
        dialect = dialect or (self._quirks.dialect() if self._quirks.dialect is not None else None)
        self.model: ServiceModel = service_model(service.name) if dialect is None else dialect.model
        self.protocol: WireProtocol = protocol_of(self.model) if dialect is None else dialect.protocol
        self.router: Router = router_of(self.model) if dialect is None else dialect.router
        self.routes_by_form: bool = isinstance(self.router, FormRouter)
        """Whether the operation is known only once the body is read."""
        self.signing_name: str = self.model.signing_name
        self.target_prefix: str | None = self.model.metadata.get("targetPrefix")
        self._older: Api | None = None
        self.own_way: OwnWay | None = None
        """From the head of a request to its reply, for a service that needs another way there."""
        self._streams: dict[str, str | None] = {}
        self._short_way = InvokeShortWay(self.model) if service.name == "lambda" else None
        unknown = set(service.operations) - set(self.model.operation_names)
        if unknown:
            raise LookupError(f"{service.name} has no operation {', '.join(sorted(unknown))}")

    def spoken_by(self, request: HttpRequest) -> "Api":
        """The same service in the protocol of this request, where it has an older one."""
        if self._quirks.older is None or "x-amz-target" in request.headers:
            return self
        if self._older is None:
            self._older = Api(self.service, self._quirks.older())
        return self._older

    def match(self, request: HttpRequest) -> Match:
        """Raises `ApiError` UnknownOperationException."""
        if self._short_way is not None and (match := self._short_way.match(request)) is not None:
            return match
        name = fields_of(request).get("Action", "") if self.routes_by_form else request.headers.get("x-amz-target")
        return self.router.match(request.method, request.path, request.query, name)

    def leaves(self, operation_name: str) -> bool:
        """Whether an operation of this service of ours is the neighbour's."""
        return self.service.leaves(operation_name)

    def limit_bytes(self, operation: OperationModel) -> int:
        """The size that a request of this operation may have: what carries a blob may carry a zip file."""
        return CODE_REQUEST_BYTES if _carries_blob(operation.input_shape) else PLAIN_REQUEST_BYTES

    async def call(
        self, context: CallContext, match: Match, request: HttpRequest, upload: Upload | None = None
    ) -> HttpResponse:
        """`upload`: the payload of a streamed operation. Raises `ApiError`, and whatever the handler raises."""
        operation = match.operation
        handler = self._handler(operation)
        if match.parameters is not None:
            return self.replied(context, match, await handler(context, _with_payload(match.parameters, request)))
        parse = self.protocol.parse
        if len(request.body) > LARGE_BYTES:
            parameters = await asyncio.to_thread(parse, operation, request, match.labels)
        else:
            parameters = parse(operation, request, match.labels)
        if upload is not None:
            parameters[operation.input_shape.serialization["payload"]] = upload
        self._check(operation, parameters)
        return self._serialised(context, operation, await handler(context, parameters))

    def match_short(self, request: HttpRequest) -> Match | None:
        """None for what the short way leaves to the long one."""
        return None if self._short_way is None else self._short_way.match(request)

    def begin(self, context: CallContext, match: Match, request: HttpRequest) -> "HttpResponse | Begun":
        """`call` and `answered` in one for the short way, without a task where the handler needs none."""
        assert match.parameters is not None
        try:
            work = self._handler(match.operation)(context, _with_payload(match.parameters, request))
        except ApiError as error:
            return _error_reply(self, request, error)
        except Exception:
            logger.exception(_FAILED)
            return _error_reply(self, request, _bug())
        return Begun(self, context, match, request, work)

    def replied(self, context: CallContext, match: Match, result: Result) -> HttpResponse:
        """To a request that came by the short way."""
        response = None if self._short_way is None else self._short_way.serialise(result)
        return self._serialised(context, match.operation, result) if response is None else response

    async def call_in_process(self, context: CallContext, operation_name: str, parameters: Parameters) -> Result:
        """The same for a caller of this process, without the wire. Raises as `call` does."""
        if operation_name not in self.model.operation_names:
            raise not_built(operation_name)
        operation = self.model.operation_model(operation_name)
        handler = self._handler(operation)
        self._check(operation, parameters)
        if operation_name in self.service.streamed:
            payload = operation.input_shape.serialization["payload"]
            content = parameters.get(payload) or b""
            parameters = {**parameters, payload: Upload.of(content) if isinstance(content, bytes) else content}
        result = await handler(context, parameters)
        return {
            name: for_caller(value) for name, value in result.items() if name not in _OF_THE_REPLY and value is not None
        }

    def error_reply(self, request: HttpRequest, error: ApiError, request_id: str = "") -> HttpResponse:
        return self.protocol.serialise_error(self.model, in_words_of(self.protocol, error), request_id)

    def _handler(self, operation: OperationModel) -> Handler:
        handler = self.service.operations.get(operation.name)
        if handler is None or operation.has_event_stream_input:
            raise not_built(operation.name)
        return handler

    def _stream_of(self, operation: OperationModel) -> str | None:
        """The member of its output that is a stream of events."""
        if operation.name not in self._streams:
            self._streams[operation.name] = eventstream.member_of(operation)
        return self._streams[operation.name]

    def _check(self, operation: OperationModel, parameters: Parameters) -> None:
        if self._quirks.check is not None:
            self._quirks.check(operation, parameters)
            return
        error = refusal(self._quirks, operation.name, parameters, failures(operation.input_shape, parameters))
        if error is not None:
            raise error

    def _serialised(self, context: CallContext, operation: OperationModel, result: Result) -> HttpResponse:
        members = {name: value for name, value in result.items() if name not in _OF_THE_REPLY}
        stream = self._stream_of(operation)
        events = None if stream is None else members.pop(stream, None)
        response = self.protocol.serialise(operation, members, context.request_id)
        if RESPONSE_STATUS in result:
            response = replace(response, status=result[RESPONSE_STATUS])
        if stream is not None and events is not None:
            # Where all members are one document, it goes ahead of the events.
            initial = not isinstance(self.protocol, RestJson)
            response = eventstream.streamed(response, operation.output_shape.members[stream], events, initial=initial)
        extra = self._quirks.reply_headers.get(operation.name, ()) + tuple(result.get(RESPONSE_HEADERS, {}).items())
        if not extra:
            return response
        return HttpResponse(response.status, (*response.headers, *extra), response.body)


class Begun:
    """An operation that runs: `future` calls back when it is over, and `response` tells how."""

    __slots__ = ("_api", "_context", "_match", "_request", "_result", "future")

    def __init__(
        self, api: Api, context: CallContext, match: Match, request: HttpRequest, work: Awaitable[Result]
    ) -> None:
        self._api = api
        self._context = context
        self._match = match
        self._request = request
        self.future: asyncio.Future[Any]
        self._result: Callable[[], Result]
        if isinstance(work, Promised):
            self.future, self._result = work.future, work.result
        else:
            self.future = asyncio.ensure_future(work)
            self._result = self.future.result

    def response(self) -> HttpResponse:
        """Of a future that is done and was not cancelled."""
        try:
            return self._api.replied(self._context, self._match, self._result())
        except ApiError as error:
            return _error_reply(self._api, self._request, error)
        except Exception:
            logger.exception(_FAILED)
            return _error_reply(self._api, self._request, _bug())


def _with_payload(parameters: Parameters, request: HttpRequest) -> Parameters:
    return {**parameters, "Payload": request.body} if request.body else parameters


@functools.cache
def _carries_blob(shape: Shape | None, outer: frozenset[str] = frozenset()) -> bool:
    if shape is None or shape.name in outer:
        return False
    outer |= {shape.name}
    return bool(shape.type_name == "blob") or any(_carries_blob(child, outer) for child in children(shape))


async def answered(
    api: Api | None, request: HttpRequest, work: Awaitable[HttpResponse], request_id: str = ""
) -> HttpResponse:
    """Await `work`; what it raises becomes a reply in the protocol of `api`, or of the request while that is None."""
    try:
        return await work
    except Disconnected:
        raise
    except ApiError as error:
        return _error_reply(api, request, error, request_id)
    except Exception:
        logger.exception(_FAILED)
        return _error_reply(api, request, _bug(), request_id)


def _bug() -> ApiError:
    return ApiError("ServiceException", "An error occurred and the request cannot be processed.", status=500)


def _error_reply(api: Api | None, request: HttpRequest, error: ApiError, request_id: str = "") -> HttpResponse:
    if api is None:
        protocol = spoken_in(request, signing_name(request))
        return protocol.serialise_error(None, in_words_of(protocol, error), request_id)
    return api.error_reply(request, error, request_id)


class Apis:
    """The services of this server, found by `X-Amz-Target` or by the name that the caller signed for.

    What is made from a model is made at the first call of its service: a server that nobody asks for it has none.
    """

    def __init__(self, services: Mapping[str, Service], make: Callable[[Service], Api] = Api) -> None:
        self._services = services
        self._make = make
        self._made: dict[str, Api] = {}
        self._by_target: dict[str, str] = {}
        self._by_signing_name: dict[str, str] = {}
        for name in reversed(list(services)):
            described = metadata(services[name].name)
            self._by_signing_name[described.get("signingName", described["endpointPrefix"])] = name
            if "targetPrefix" in described:
                self._by_target[described["targetPrefix"]] = name

    def has(self, name: str) -> bool:
        return name in self._services

    def answers(self, name: str, operation: str) -> bool:
        """Whether the operation stays here; asks without making what is made at the first call."""
        return name in self._services and not self._services[name].leaves(operation)

    async def has_bucket(self, name: str) -> bool:
        """Of S3, where it is ours."""
        service = self._services.get("s3")
        found = None if service is None or service.buckets is None else await service.buckets.facts(name)
        return found is not None

    def by_target(self, target: str) -> Api | None:
        return self._api(self._by_target.get(target.rpartition(".")[0]))

    def by_signing_name(self, name: str) -> Api | None:
        return self._api(self._by_signing_name.get(name))

    def by_name(self, name: str) -> Api | None:
        """By botocore's name of the service."""
        return self._api(name if name in self._services else None)

    def _api(self, name: str | None) -> Api | None:
        if name is None:
            return None
        found = self._made.get(name)
        if found is None:
            found = self._made[name] = self._make(self._services[name])
        return found
