"""The condition keys of policies that only the wire of S3 knows: what a client says of itself, how it signed."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from lambent.gateway.http import HttpRequest
from lambent.gateway.s3.payload import CONTENT_HASH
from lambent.gateway.s3.signatures import Signed

_HEADERS: Final = {
    "user-agent": "aws:UserAgent",
    "referer": "aws:Referer",
    CONTENT_HASH: "s3:x-amz-content-sha256",
}


def condition_keys(head: HttpRequest, signer: Signed, now: Callable[[], datetime]) -> dict[str, str]:
    found = {key: head.headers[name] for name, key in _HEADERS.items() if name in head.headers}
    if signer.way:
        found |= {"s3:authType": signer.way, "s3:signatureversion": signer.version}
    if signer.moment is not None:
        found["s3:signatureAge"] = str(max(0, int((now() - signer.moment).total_seconds() * 1000)))
    return found
