"""The protocol of a request whose service is not here, so that its client can read the refusal.

Most protocols mark their requests, and an SDK may prefer another one than botocore does. Only rest-xml looks like
rest-json: there the service's model decides.
"""

from typing import Final

from lambent.aws.models import UnknownService, metadata
from lambent.gateway.http import HttpRequest
from lambent.gateway.protocols import ErrorProtocol, unparsed
from lambent.gateway.protocols.json import Json
from lambent.gateway.protocols.query import Query
from lambent.gateway.protocols.rest_json import RestJson

FORM: Final = "application/x-www-form-urlencoded"
_JSON_VERSION: Final = "application/x-amz-json-"


def spoken_in(request: HttpRequest, signing_name: str | None) -> ErrorProtocol:
    """`signing_name`: of the service, when the request says it."""
    headers = request.headers
    content_type = headers.get("content-type", "").partition(";")[0].strip()
    if headers.get("smithy-protocol") == "rpc-v2-cbor":
        return unparsed.CBOR
    if "x-amz-target" in headers:
        version = content_type.removeprefix(_JSON_VERSION) if content_type.startswith(_JSON_VERSION) else "1.0"
        return Json(version)
    if content_type == FORM or "&Action=" in f"&{request.query}":
        return unparsed.EC2 if signing_name == "ec2" else Query()
    return _rest(signing_name)


def _rest(signing_name: str | None) -> ErrorProtocol:
    if signing_name is None:
        return RestJson()
    if signing_name.startswith("s3"):
        # Amazon S3 has several services and signing names, all of one protocol.
        return unparsed.S3
    try:
        protocol = metadata(signing_name)["protocol"]
    except UnknownService:
        return RestJson()
    return unparsed.REST_XML if protocol == "rest-xml" else RestJson()
