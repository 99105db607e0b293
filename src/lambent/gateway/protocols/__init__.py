"""The protocols of AWS: requests into parameters, results and errors into replies, made from the model alone.

    ErrorProtocol                how a client wants to hear of an error
    |- ErrorsOnly                unparsed.py    ec2, rest-xml, cbor: only the error that says "not built"
    `- WireProtocol              what `dispatch` knows
       |- RestJson               rest_json.py   path, query and headers carry members; the rest is JSON
       |- Json                   json.py        everything is one JSON object; X-Amz-Target names the operation
       |- Query                  query.py       a form, whose Action names the operation; XML back
       |- RestXml               rest_xml.py    as RestJson, with XML; what S3 does otherwise is in quirks.s3
       `- (cbor joins here as a sibling)

`eventstream` makes the frames of replies that are streams of events, for each of them;
`shapes` knows where members travel and how scalars look as text; `json_body` turns JSON into values of a shape;
`spoken` knows the protocol of a request whose service is not here.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from lambent.aws.errors import ApiError
from lambent.aws.shapes import OperationModel, ServiceModel
from lambent.gateway.http import HttpRequest, HttpResponse
from lambent.gateway.protocols.json import Json
from lambent.gateway.protocols.query import Query
from lambent.gateway.protocols.rest_json import RestJson

__all__ = ["ErrorProtocol", "Json", "Query", "RestJson", "WireProtocol", "protocol_of"]


class ErrorProtocol(Protocol):
    def serialise_error(self, model: ServiceModel | None, error: ApiError, request_id: str = "") -> HttpResponse:
        """`request_id`: as for `WireProtocol.serialise`."""
        ...


class WireProtocol(ErrorProtocol, Protocol):
    def parse(self, operation: OperationModel, request: HttpRequest, labels: Mapping[str, str]) -> dict[str, Any]:
        """Parameters by the model's member names. `labels` are the decoded parts of the path.

        Raises `ApiError` SerializationException.
        """
        ...

    def serialise(self, operation: OperationModel, result: Mapping[str, Any], request_id: str = "") -> HttpResponse:
        """`request_id`: for the protocols that say it in the body."""
        ...


def protocol_of(model: ServiceModel) -> WireProtocol:
    """The protocol of a service. Raises `LookupError` for one that is not built."""
    name = model.metadata["protocol"]
    if name == "rest-json":
        return RestJson()
    if name == "json":
        return Json(model.metadata.get("jsonVersion", "1.0"))
    if name == "query":
        return Query()
    if name == "rest-xml":
        # Here, since a server that nobody asks for S3 needs no XML.
        from lambent.gateway.protocols.rest_xml import RestXml
        from lambent.gateway.quirks.s3 import HABITS

        return RestXml(HABITS) if model.service_name == "s3" else RestXml()
    raise LookupError(f"the protocol {name} of {model.service_name} is not built")
