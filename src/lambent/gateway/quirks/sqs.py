"""SQS: AWS JSON 1.0 with the error codes of the protocol before it, and that protocol (`sqs_query`) beside it.

botocore's model knows only JSON. Handlers raise the names of the model's error shapes and, for what it has no shape
for, the codes of the query protocol; what each becomes on the wire is said here once.
"""

import base64
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final
from urllib.parse import unquote

import orjson

from lambent.aws.errors import ApiError
from lambent.aws.models import service_model
from lambent.aws.shapes import ListShape, MapShape, OperationModel, ServiceModel, Shape, StructureShape
from lambent.gateway.http import HttpRequest, HttpResponse
from lambent.gateway.protocols import WireProtocol, json_body
from lambent.gateway.protocols.json import Json
from lambent.gateway.protocols.shapes import bad_value
from lambent.gateway.route import Router, TargetRouter

_QUEUES: Final = "AWS.SimpleQueueService."
_QUERY_CODES: Final[Mapping[str, str]] = {
    "QueueDoesNotExist": f"{_QUEUES}NonExistentQueue",
    "QueueNameExists": "QueueAlreadyExists",
    **{
        name: f"{_QUEUES}{name}"
        for name in (
            *("QueueDeletedRecently", "PurgeQueueInProgress", "EmptyBatchRequest", "TooManyEntriesInBatchRequest"),
            *("BatchEntryIdsNotDistinct", "BatchRequestTooLong", "InvalidBatchEntryId", "UnsupportedOperation"),
            "MessageNotInflight",
        )
    },
    "KmsAccessDenied": "KMS.AccessDeniedException",
    "KmsDisabled": "KMS.DisabledException",
    "KmsInvalidKeyUsage": "KMS.InvalidKeyUsageException",
    "KmsInvalidState": "KMS.InvalidStateException",
    "KmsNotFound": "KMS.NotFoundException",
    "KmsThrottled": "KMS.ThrottlingException",
    "KmsOptInRequired": "KMS.OptInRequired",
    "SerializationException": "MalformedInput",
    "UnknownOperationException": "InvalidAction",
    "IncompleteSignatureException": "IncompleteSignature",
    "UnrecognizedClientException": "InvalidClientTokenId",
    "InvalidSignatureException": "SignatureDoesNotMatch",
    "MissingAuthenticationTokenException": "MissingAuthenticationToken",
    "ExpiredTokenException": "ExpiredToken",
    "AccessDeniedException": "AccessDenied",
    "ServiceException": "InternalFailure",
}
"""By the name of the shape, where they differ."""
_SHAPES: Final[Mapping[str, str]] = {
    "InvalidParameterValue": "InvalidParameterValueException",
    "MissingParameter": "MissingRequiredParameterException",
    "AccessDenied": "AccessDeniedException",
    "InvalidAction": "UnknownOperationException",
    "MalformedInput": "SerializationException",
    "InvalidClientTokenId": "UnrecognizedClientException",
    "ServiceException": "InternalFailure",
}
"""In JSON, of codes that the model has no shape for."""
_STATUSES: Final[Mapping[str, int]] = {
    "PurgeQueueInProgress": 403,
    "OverLimit": 403,
    "RequestThrottled": 403,
    "InvalidSecurity": 403,
    "KmsOptInRequired": 403,
    "AccessDenied": 403,
    "ReceiptHandleIsInvalid": 404,
    "InvalidAddress": 404,
    "ResourceNotFoundException": 404,
}
NO_QUEUE: Final = "The specified queue does not exist."


def query_code(code: str) -> str:
    return _QUERY_CODES.get(code, code)


def status_of(error: ApiError) -> int:
    return _STATUSES.get(error.code) or error.status or 400


def fault_of(status: int) -> str:
    return "Receiver" if status >= 500 else "Sender"


class SqsJson(Json):
    """Text is made of numbers and booleans, null is nothing; empty lists and maps are left out; errors have two names.

    Parses with functions that are made once from the shapes. A property test holds them to `Json`.
    """

    def __init__(self) -> None:
        super().__init__("1.0")

    def parse(self, operation: OperationModel, request: HttpRequest, labels: Mapping[str, str]) -> dict[str, Any]:
        document = json_body.load(request.body) if request.body.strip() else {}
        try:
            parameters: dict[str, Any] = _reader(operation.input_shape)(document)
        except RecursionError as error:
            raise bad_value("Document is nested too deeply") from error
        return at_queue_path(operation, request, parameters)

    def serialise(self, operation: OperationModel, result: Mapping[str, Any], request_id: str = "") -> HttpResponse:
        if operation.output_shape is None:
            return HttpResponse(200, (self._content_type,), b"")
        told = {name: value for name, value in result.items() if value is not None and value != [] and value != {}}
        return HttpResponse(200, (self._content_type,), orjson.dumps(told, default=_text_of_blob))

    def serialise_error(self, model: ServiceModel | None, error: ApiError, request_id: str = "") -> HttpResponse:
        status = status_of(error)
        shape = _SHAPES.get(error.code, error.code)
        modelled = model is not None and any(known.name == shape for known in model.error_shapes)
        space = "com.amazonaws.sqs" if modelled else "com.amazon.coral.service"
        headers = (
            self._content_type,
            ("x-amzn-query-error", f"{query_code(error.code)};{fault_of(status)}"),
            *error.headers.items(),
        )
        return HttpResponse(status, headers, orjson.dumps({"__type": f"{space}#{shape}", "message": error.message}))


def _text_of_blob(value: Any) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    raise TypeError(type(value))


Reader = Callable[[Any], Any]


@cache
def _reader(shape: Shape) -> Reader:
    """From a JSON value to a value of the shape. Raises `ApiError` SerializationException."""
    if isinstance(shape, StructureShape):
        return _structure_reader(shape)
    if isinstance(shape, ListShape):
        item_reader = _reader(shape.member)

        def read_list(value: Any) -> list[Any]:
            if type(value) is not list:
                raise json_body.misplaced(value)
            return [item_reader(item) for item in value if item is not None]

        return read_list
    if isinstance(shape, MapShape):
        value_reader = _reader(shape.value)

        def read_map(value: Any) -> dict[str, Any]:
            if type(value) is not dict:
                raise json_body.misplaced(value)
            return {key: value_reader(item) for key, item in value.items() if item is not None}

        return read_map
    if shape.type_name == "string":
        return _text
    return lambda value: json_body.scalar(value, shape)


def _structure_reader(shape: StructureShape) -> Reader:
    readers = {name: _reader(member) for name, member in shape.members.items()}

    def read(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise json_body.misplaced(value)
        found = {}
        for name, item in value.items():
            if item is not None and (reader := readers.get(name)) is not None:
                found[name] = reader(item)
        return found

    return read


def _text(value: Any) -> str:
    if type(value) is str:
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    raise json_body.misplaced(value)


def is_queue_path(path: str) -> bool:
    """Whether it is like `/123456789012/name`."""
    parts = path.split("/")
    return len(parts) == 3 and bool(parts[1] and parts[2])


def at_queue_path(operation: OperationModel, request: HttpRequest, parameters: dict[str, Any]) -> dict[str, Any]:
    """With the queue that the path names, where no parameter names it."""
    if "QueueUrl" not in parameters and "QueueUrl" in operation.input_shape.members and is_queue_path(request.path):
        parameters["QueueUrl"] = unquote(request.path)
    return parameters


def check(operation: OperationModel, parameters: Mapping[str, Any]) -> None:
    """What is required is there. Values are the business of the service: SQS has its own words for each."""
    for name in operation.input_shape.metadata.get("required", ()):
        if parameters.get(name) is None:
            raise missing(_REQUIRED.get(name, name))


_REQUIRED: Final = {"Attributes": "Attribute.Name"}


def missing(name: str) -> ApiError:
    return ApiError("MissingParameter", f"The request must contain the parameter {name}.")


def json_dialect() -> tuple[ServiceModel, WireProtocol, Router]:
    model = service_model("sqs")
    return model, SqsJson(), TargetRouter(model)


def query_dialect() -> tuple[ServiceModel, WireProtocol, Router]:
    # Its model is made by the first request of an old SDK.
    from lambent.gateway.quirks.sqs_query import QueueRouter, SqsQuery, query_model

    model = query_model()
    return model, SqsQuery(), QueueRouter(model)
