"""A call in the protocol of its service, written and read by botocore as in a client. Sends nothing itself."""

import functools
import io
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from botocore import model as botocore
from botocore.awsrequest import HeadersDict
from botocore.parsers import ResponseParserError, create_parser
from botocore.serialize import create_serializer

from lambent.aws.errors import ApiError, PlatformFault
from lambent.aws.outside import OutsideReply, OutsideRequest
from lambent.aws.service import Parameters, Result
from lambent.aws.shapes import OperationModel, ServiceModel
from lambent.core.ids import uuid4
from lambent.gateway.protocols.errors import error_shape

_OUR_HOST: Final = "localhost"
_NO_MEMBERS: Final = frozenset({"ResponseMetadata", "Error"})


def request(operation: OperationModel, parameters: Parameters, *, account: str, region: str) -> OutsideRequest:
    model = operation.service_model
    described = of_botocore(operation)
    written = create_serializer(model.resolved_protocol, include_validation=False).serialize_to_request(
        _with_tokens(described, parameters), described
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


def of_botocore(operation: OperationModel) -> botocore.OperationModel:
    """The same operation as botocore's writers and readers want it."""
    return service_of_botocore(operation.service_model).operation_model(operation.name)


@functools.cache
def service_of_botocore(model: ServiceModel) -> botocore.ServiceModel:
    return botocore.ServiceModel(model.document, model.service_name)


def _bytes(body: Any) -> bytes:
    if isinstance(body, str):
        return body.encode()
    return bytes(body) if isinstance(body, bytes | bytearray) else bytes(body.read())


def _with_tokens(operation: botocore.OperationModel, parameters: Parameters) -> dict[str, Any]:
    """Members that botocore's client fills in when they are left out."""
    tokens = operation.idempotent_members if operation.input_shape is not None else ()
    return {**{name: uuid4() for name in tokens}, **parameters}


def result(operation: OperationModel, reply: OutsideReply) -> Result:
    described = of_botocore(operation)
    answer = {
        "status_code": reply.status,
        "headers": HeadersDict({"Content-Length": str(len(reply.body)), **dict(reply.headers)}),
        "body": io.BytesIO(reply.body) if operation.has_streaming_output and reply.status < 301 else reply.body,
    }
    parser = create_parser(operation.service_model.resolved_protocol)
    try:
        parsed: dict[str, Any] = parser.parse(answer, None if reply.status >= 301 else described.output_shape)
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
        read = create_parser(model.resolved_protocol).parse(answer, service_of_botocore(model).shape_for(shape.name))
        members = {name: read[name] for name in shape.members if name in read and name.lower() != "message"}
    return ApiError(code, found.get("Message"), status=answer["status_code"], members=members)
