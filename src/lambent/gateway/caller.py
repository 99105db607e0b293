"""Implements `aws.caller.Caller`: our services are called in the process, all others over their own protocol.

Nothing of HTTP happens for a service of ours: the same validation, the same handler, the result as it is. For another
service botocore writes the request and reads the reply, as it would in a client.
"""

import io
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from botocore.awsrequest import HeadersDict
from botocore.model import OperationModel
from botocore.parsers import ResponseParserError, create_parser
from botocore.serialize import create_serializer

from lambent.aws.errors import ApiError, PlatformFault, not_built
from lambent.aws.models import UnknownService as NoSuchModel
from lambent.aws.models import service_model
from lambent.aws.outside import Outside, OutsideReply, OutsideRequest, UnknownService
from lambent.aws.service import CallContext, Identity, Parameters, Result
from lambent.core.ids import uuid4
from lambent.gateway.dispatch import Apis
from lambent.gateway.elsewhere import Elsewhere
from lambent.gateway.protocols.errors import error_shape

_OUR_HOST: Final = "localhost"
_NO_MEMBERS: Final = frozenset({"ResponseMetadata", "Error"})


class InProcessCaller:
    """`apis` is given once it is made: the services in it may need this caller."""

    def __init__(self, elsewhere: Elsewhere, base_url: str = f"http://{_OUR_HOST}") -> None:
        """`base_url`: by which results name this server, where they do."""
        self.apis = Apis({})
        self._elsewhere = elsewhere
        self._base_url = base_url

    async def call(
        self, service: str, operation: str, parameters: Parameters, *, account: str, region: str, principal: str
    ) -> Result:
        try:
            model = service_model(service)
        except NoSuchModel as error:
            raise not_built(operation, f"The service {service}") from error
        if operation not in model.operation_names:
            raise not_built(operation)
        described = model.operation_model(operation)
        api = self.apis.by_name(service)
        outside = self._elsewhere.redirected(model.signing_name)
        if outside is None and api is not None and not api.leaves(operation):
            identity = Identity(account, principal, account)
            context = CallContext(account, region, uuid4(), identity, self._base_url)
            return await api.call_in_process(context, operation, parameters)
        outside = outside or self._elsewhere.neighbour
        if outside is None:
            raise not_built(operation, f"The service {service}")
        return await _call_outside(outside, described, parameters, account=account, region=region)


async def _call_outside(
    outside: Outside, operation: OperationModel, parameters: Parameters, *, account: str, region: str
) -> Result:
    model = operation.service_model
    try:
        reply = await outside.forward(_request(operation, parameters, account=account, region=region))
    except UnknownService as error:
        raise not_built(operation.name, f"The service {model.service_name}") from error
    except ApiError as error:
        if error.code == "NotImplementedException":
            raise
        raise PlatformFault(f"{model.service_name} {operation.name}: {error.message}") from error
    return _result(operation, reply)


def _request(operation: OperationModel, parameters: Parameters, *, account: str, region: str) -> OutsideRequest:
    model = operation.service_model
    written = create_serializer(model.resolved_protocol, include_validation=False).serialize_to_request(
        _with_tokens(operation, parameters), operation
    )
    path, _, constants = written["url_path"].partition("?")
    query = written["query_string"]
    pairs = urlencode(list(query.items()) if isinstance(query, Mapping) else query, doseq=True)
    body = written["body"]
    if isinstance(body, Mapping):
        body = urlencode(body, doseq=True)
    headers = {name.lower(): str(value) for name, value in written["headers"].items()}
    headers.setdefault("host", _OUR_HOST)
    return OutsideRequest(
        service=model.signing_name,
        account=account,
        region=region,
        access_key_id=account,
        method=written["method"],
        path=path,
        query="&".join(part for part in (constants, pairs) if part),
        headers=headers,
        body=_bytes(body),
    )


def _bytes(body: Any) -> bytes:
    if isinstance(body, str):
        return body.encode()
    return bytes(body) if isinstance(body, bytes | bytearray) else bytes(body.read())


def _with_tokens(operation: OperationModel, parameters: Parameters) -> dict[str, Any]:
    """Members that botocore's client fills in when they are left out."""
    tokens = operation.idempotent_members if operation.input_shape is not None else ()
    return {**{name: uuid4() for name in tokens}, **parameters}


def _result(operation: OperationModel, reply: OutsideReply) -> Result:
    answer = {
        "status_code": reply.status,
        "headers": HeadersDict({"Content-Length": str(len(reply.body)), **dict(reply.headers)}),
        "body": io.BytesIO(reply.body) if operation.has_streaming_output and reply.status < 301 else reply.body,
    }
    parser = create_parser(operation.service_model.resolved_protocol)
    try:
        parsed: dict[str, Any] = parser.parse(answer, None if reply.status >= 301 else operation.output_shape)
    except ResponseParserError as error:
        said = f"{operation.service_model.service_name} {operation.name} answered {reply.status} with no AWS reply"
        raise PlatformFault(f"{said}: {reply.body[:200]!r}") from error
    if reply.status >= 301:
        raise _error(operation, parsed, answer)
    return {name: _whole(value) for name, value in parsed.items() if name not in _NO_MEMBERS}


def _whole(value: Any) -> Any:
    return value.read() if isinstance(value, io.BytesIO) else value


def _error(operation: OperationModel, parsed: Mapping[str, Any], answer: Mapping[str, Any]) -> ApiError:
    model = operation.service_model
    found = parsed.get("Error", {})
    code = found.get("Code") or str(answer["status_code"])
    shape = error_shape(model, code)
    members: dict[str, Any] = {}
    if shape is not None:
        read = create_parser(model.resolved_protocol).parse(answer, shape)
        members = {name: read[name] for name in shape.members if name in read and name.lower() != "message"}
    return ApiError(code, found.get("Message"), status=answer["status_code"], members=members)
