"""Which requests are S3's, also where they name no service of AWS: forms, preflights, requests of nobody. Pure."""

from typing import Final

from lambent.gateway.http import HttpRequest
from lambent.gateway.s3.addressing import is_of_s3
from lambent.gateway.sigv4 import signing_name

_CONTROL: Final = "/v20180820/"
_FORM: Final = "multipart/form-data"


def is_of_control(head: HttpRequest) -> bool:
    """Of S3 Control, another service that is signed for under the name of S3."""
    return "x-amz-account-id" in head.headers and head.path.startswith(_CONTROL)


def is_for_s3(head: HttpRequest) -> bool | None:
    """None: it is, if a bucket has the name that its path begins with."""
    headers = head.headers
    if "x-amz-target" in headers or is_of_control(head):
        return False
    query = head.query
    if "authorization" in headers:
        name = signing_name(head)
        return name == "s3" or (name is None and is_of_s3(headers.get("host", "")))
    if "X-Amz-Credential=" in query:
        # What is no credential at all is most likely of a URL of S3, and S3 has the words for it.
        return signing_name(head) in ("s3", None)
    if "X-Amz-Signature=" in query or "X-Amz-Algorithm=" in query:
        return True
    if "Action=" in query:
        return False
    if "AWSAccessKeyId=" in query or ("Signature=" in query and "Expires=" in query):
        return True
    if is_of_s3(headers.get("host", "")):
        return True
    if head.method == "POST" and headers.get("content-type", "").startswith(_FORM):
        return True
    return None
