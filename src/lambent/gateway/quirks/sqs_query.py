"""The query protocol of SQS: forms and presigned queries in, XML out, to `/` or to the path of a queue.

botocore's model has forgotten it, so the names of fields and elements are put into a copy of the model here, from
which the generic protocol does the rest.
"""

import copy
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from lambent.aws.errors import ApiError
from lambent.aws.models import service_model
from lambent.aws.shapes import OperationModel, ServiceModel
from lambent.gateway.http import HttpRequest, HttpResponse
from lambent.gateway.protocols.escaping import escape
from lambent.gateway.protocols.query import CONTENT_TYPE, Query, element, fields_of, parameters_of, result_xml
from lambent.gateway.quirks import sqs
from lambent.gateway.route import FormRouter, Match

NAMESPACE: Final = "http://queue.amazonaws.com/doc/2012-11-05/"
NO_QUEUE: Final = "The specified queue does not exist for this wsdl version."
_DECLARATION: Final = '<?xml version="1.0"?>'
_FIELDS: Final[Mapping[str, str]] = {
    "Attributes": "Attribute",
    "MessageAttributes": "MessageAttribute",
    "MessageSystemAttributes": "MessageSystemAttribute",
    "tags": "Tag",
    "Tags": "Tag",
}
"""Maps, by the member that they are."""
_ELEMENTS: Final[Mapping[str, str]] = {
    "AWSAccountIdList": "AWSAccountId",
    "ActionNameList": "ActionName",
    "AttributeNameList": "AttributeName",
    "BatchResultErrorEntryList": "BatchResultErrorEntry",
    "BinaryList": "BinaryListValue",
    "ListMessageMoveTasksResultEntryList": "ListMessageMoveTasksResultEntry",
    "MessageAttributeNameList": "MessageAttributeName",
    "MessageList": "Message",
    "MessageSystemAttributeList": "MessageSystemAttributeName",
    "QueueUrlList": "QueueUrl",
    "StringList": "StringListValue",
    "TagKeyList": "TagKey",
}
"""Of lists, by their shape; entries of batches are called as their shape is."""
_AT_ROOT_ALONE: Final = frozenset({"CreateQueue", "ListQueues"})
_WITHOUT_NUMBER: Final = ("Attribute", "Tag")


@cache
def query_model() -> ServiceModel:
    document = copy.deepcopy(dict(service_model("sqs").document))
    document["metadata"] |= {"protocol": "query", "protocols": ["query"], "xmlNamespace": NAMESPACE}
    del document["metadata"]["targetPrefix"]
    for name, shape in document["shapes"].items():
        for member_name, member in shape.get("members", {}).items():
            if document["shapes"][member["shape"]]["type"] == "map":
                member["locationName"] = _FIELDS[member_name]
        if shape["type"] == "list":
            shape["member"]["locationName"] = _ELEMENTS.get(name, name.removesuffix("List"))
        elif shape["type"] == "map":
            shape["key"]["locationName"] = "Key" if name == "TagMap" else "Name"
            shape["value"]["locationName"] = "Value"
    for name, operation in document["operations"].items():
        if "output" in operation:
            operation["output"]["resultWrapper"] = f"{name}Result"
    return ServiceModel(document, "sqs")


class QueueRouter(FormRouter):
    def match(self, method: str, path: str, query: str, target: str | None) -> Match:
        at_queue = sqs.is_queue_path(path)
        if at_queue and not target:
            raise ApiError("UnknownOperationException", None, status=404)
        if not self.knows(target) or (at_queue and target in _AT_ROOT_ALONE):
            text = f"The action {(target or '')[:200]} is not valid for this endpoint."
            raise ApiError("InvalidAction", text, status=400)
        return super().match(method, path, query, target)


class SqsQuery(Query):
    def parse(self, operation: OperationModel, request: HttpRequest, labels: Mapping[str, str]) -> dict[str, Any]:
        fields = {_numbered(name): value for name, value in fields_of(request).items()}
        return sqs.at_queue_path(operation, request, parameters_of(operation, fields))

    def serialise(self, operation: OperationModel, result: Mapping[str, Any], request_id: str = "") -> HttpResponse:
        content = result_xml(operation, result)
        space = f' xmlns="{NAMESPACE}"'
        metadata = f"<ResponseMetadata><RequestId>{escape(request_id)}</RequestId></ResponseMetadata>"
        text = f"{_DECLARATION}<{operation.name}Response{space}>{content}{metadata}</{operation.name}Response>"
        return HttpResponse(200, (CONTENT_TYPE,), text.encode())

    def serialise_error(self, model: ServiceModel | None, error: ApiError, request_id: str = "") -> HttpResponse:
        status = sqs.status_of(error)
        if error.status == 404 and error.code == "UnknownOperationException":
            return HttpResponse(404, (CONTENT_TYPE,), b"<UnknownOperationException/>")
        message = NO_QUEUE if error.message == sqs.NO_QUEUE else error.message or ""
        parts = (
            ("Type", sqs.fault_of(status)),
            ("Code", sqs.query_code(error.code)),
            ("Message", message),
        )
        told = "".join(element(name, text) for name, text in parts)
        text = (
            f'{_DECLARATION}<ErrorResponse xmlns="{NAMESPACE}"><Error>{told}<Detail/></Error>'
            f"<RequestId>{escape(request_id)}</RequestId></ErrorResponse>"
        )
        return HttpResponse(status, (CONTENT_TYPE, *error.headers.items()), text.encode())


def _numbered(name: str) -> str:
    """Old SDKs leave the number of a single one out, and some use the plural of attributes."""
    head, dot, rest = name.partition(".")
    if head in ("MessageAttributes", "MessageSystemAttributes"):
        return f"{head[:-1]}{dot}{rest}"
    if head in _WITHOUT_NUMBER and rest in ("Name", "Key", "Value"):
        return f"{head}.1.{rest}"
    return name
