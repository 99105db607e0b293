"""The errors of protocols whose requests are not parsed yet: ec2, rest-xml, rpc-v2-cbor.

For services that Lambent does not have, so that their clients say so instead of failing on the reply. A protocol
leaves this module with its first service.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from lambent.aws.errors import ApiError
from lambent.aws.shapes import ServiceModel
from lambent.gateway.http import HttpResponse
from lambent.gateway.protocols.errors import describe
from lambent.gateway.protocols.escaping import escape


@dataclass(frozen=True, slots=True)
class ErrorsOnly:
    """How a protocol words an error: `body` takes its code, its message and whose fault it is (Sender, Receiver)."""

    headers: tuple[tuple[str, str], ...]
    body: Callable[[str, str, str], bytes]

    def serialise_error(self, model: ServiceModel | None, error: ApiError, request_id: str = "") -> HttpResponse:
        reply = describe(model, error)
        fault = "Receiver" if reply.status >= 500 else "Sender"
        return HttpResponse(
            reply.status, (*self.headers, *reply.headers), self.body(reply.code, error.message or "", fault)
        )


def _xml(template: str) -> Callable[[str, str, str], bytes]:
    def body(code: str, message: str, fault: str) -> bytes:
        text = template.format(code=escape(code), message=escape(message), fault=fault)
        return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode()

    return body


def _cbor(code: str, message: str, _fault: str) -> bytes:
    return _cbor_map({"__type": code, "message": message})


def _cbor_map(members: Mapping[str, str]) -> bytes:
    """RFC 8949: a map of text to text, with lengths of four bytes throughout."""
    parts = [b"\xba", len(members).to_bytes(4, "big")]
    for text in (text for pair in members.items() for text in pair):
        data = text.encode()
        parts += [b"\x7a", len(data).to_bytes(4, "big"), data]
    return b"".join(parts)


_ERROR: Final = "<Error><Code>{code}</Code><Message>{message}</Message></Error>"
_XML: Final = (("Content-Type", "text/xml"),)

REST_XML: Final = ErrorsOnly(
    _XML, _xml("<ErrorResponse>" + _ERROR.replace("<Code>", "<Type>{fault}</Type><Code>") + "</ErrorResponse>")
)
EC2: Final = ErrorsOnly(_XML, _xml("<Response><Errors>" + _ERROR + "</Errors></Response>"))
S3: Final = ErrorsOnly((("Content-Type", "application/xml"),), _xml(_ERROR))
"""rest-xml without the wrapper around the error."""
CBOR: Final = ErrorsOnly((("Content-Type", "application/cbor"), ("smithy-protocol", "rpc-v2-cbor")), _cbor)
