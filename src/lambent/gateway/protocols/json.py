"""json (AWS JSON 1.0 and 1.1): one JSON object each way; the error's code is in the body as `__type`."""

from collections.abc import Mapping
from typing import Any

from lambent.aws.errors import ApiError
from lambent.aws.shapes import OperationModel, ServiceModel
from lambent.gateway.http import HttpRequest, HttpResponse
from lambent.gateway.protocols import json_body
from lambent.gateway.protocols.errors import describe


class Json:
    def __init__(self, version: str) -> None:
        self._content_type = ("Content-Type", f"application/x-amz-json-{version}")

    def parse(self, operation: OperationModel, request: HttpRequest, labels: Mapping[str, str]) -> dict[str, Any]:
        if operation.input_shape is None:
            return {}
        return json_body.parse_structure(request.body, operation.input_shape)

    def serialise(self, operation: OperationModel, result: Mapping[str, Any], request_id: str = "") -> HttpResponse:
        shape = operation.output_shape
        body = b"" if shape is None else json_body.dump(json_body.members_of(result, shape.members))
        return HttpResponse(200, (self._content_type,), body)

    def serialise_error(self, model: ServiceModel | None, error: ApiError, request_id: str = "") -> HttpResponse:
        reply = describe(model, error)
        headers = (self._content_type, ("x-amzn-ErrorType", reply.code), *reply.headers)
        return HttpResponse(reply.status, headers, json_body.dump({"__type": reply.code, **reply.members}))
