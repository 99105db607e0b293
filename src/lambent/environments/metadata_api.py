"""The metadata endpoint of an environment: the Availability Zone that it is in, which here is the first of its region.

Asked for by `AWS_LAMBDA_METADATA_API` and `AWS_LAMBDA_METADATA_TOKEN`. Behaviour: "Lambda metadata endpoint" in AWS's
guide. It knows nothing of the machine.
"""

import hmac
from dataclasses import dataclass
from typing import Final

import orjson

from lambent.environments.runtime_http import HttpRequest, encode, encode_json

PATH: Final = b"/2026-01-15/metadata/execution-environment"

_UNAUTHORIZED = encode_json(401, b'{"errorMessage":"Unauthorized","errorType":"Unauthorized"}')
_NOT_ALLOWED = encode(405, b"text/plain", b"")


@dataclass(frozen=True, slots=True)
class MetadataApi:
    token: str
    region: str

    def handle(self, request: HttpRequest) -> bytes:
        if request.method != b"GET":
            return _NOT_ALLOWED
        given = request.headers.get(b"authorization", b"")
        if not self.token or not hmac.compare_digest(given, f"Bearer {self.token}".encode()):
            return _UNAUTHORIZED
        body = orjson.dumps({"AvailabilityZoneID": f"{zone_prefix(self.region)}-az1"})
        head = (
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            f"Cache-Control: private, max-age=43200, immutable\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


def zone_prefix(region: str) -> str:
    """As in the ids of zones: `us-east-1` is `use1`, `ap-southeast-2` is `apse2`."""
    area, *directions = region.split("-")
    return area + "".join(part if part.isdigit() else _SHORT.get(part, part[:1]) for part in directions)


_SHORT: Final = {"northeast": "ne", "northwest": "nw", "southeast": "se", "southwest": "sw"}
