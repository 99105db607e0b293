"""A service that is redirected: its requests go to a real endpoint, AWS's own included, and its replies come back.

With credentials of the server's own the request is signed anew for that host. Without, it is passed on as it was
signed, with the Host that its client signed; a call of our own parts is then signed with the account as its key.
"""

import asyncio
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.session import Session

from lambent.aws.errors import ApiError
from lambent.aws.outside import REPLY_BYTES, OutsideReply, OutsideRequest, path_with_bucket
from lambent.gateway.hosts import is_loopback

if TYPE_CHECKING:
    import httpx

CONNECT_S: Final = 5.0
ANSWER_S: Final = 120.0
_OF_A_CONNECTION: Final = frozenset({"connection", "transfer-encoding", "keep-alive", "content-length", "expect"})
_OF_A_REPLY: Final = frozenset({"date", "server", "connection", "transfer-encoding", "keep-alive", "x-amzn-requestid"})
_OF_A_SIGNATURE: Final = frozenset(
    {"authorization", "host", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256", "date"}
)
_OF_A_PRESIGNED_QUERY: Final = re.compile(
    r"(?:X-Amz-(?:Algorithm|Credential|Date|Expires|SignedHeaders|Signature|Security-Token|Content-Sha256)"
    r"|AWSAccessKeyId|Signature|Expires)(?:=.*)?",
    re.DOTALL,
)


def own_credentials() -> Credentials | None:
    """Of this process, from its environment or a profile; no service on the network is asked. Reads files."""
    session = Session()
    providers = session.get_component("credential_provider")
    for name in ("iam-role", "container-role"):
        providers.remove(name)
    return session.get_credentials()


class Endpoint:
    """`aws.outside.Outside` over one URL."""

    def __init__(self, url: str, credentials: Credentials | None) -> None:
        self._url = url.rstrip("/")
        self._credentials = credentials
        self._client: httpx.AsyncClient | None = None

    async def forward(self, request: OutsideRequest) -> OutsideReply:
        import httpx

        path, query, headers, body = await asyncio.to_thread(self._prepared, request)
        client = self._connected()
        target = httpx.URL(self._url)
        raw = f"{urlsplit(self._url).path}{path}{'?' + query if query else ''}"
        outgoing = client.build_request(
            request.method, target.copy_with(raw_path=raw.encode("ascii", "replace")), headers=headers, content=body
        )
        try:
            reply = await client.send(outgoing, stream=True)
            try:
                content = await self._whole(reply, request)
            finally:
                await reply.aclose()
        except httpx.HTTPError as error:
            text = f"The endpoint {self._url}, to which {request.service} is redirected, does not answer: {error!r}"
            raise ApiError("ServiceUnavailable", text, status=503) from error
        dropped = _OF_A_REPLY if request.method == "HEAD" else _OF_A_REPLY | {"content-length"}
        kept = [(name, value) for name, value in reply.headers.multi_items() if name.lower() not in dropped]
        return OutsideReply(reply.status_code, kept, content)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def _connected(self) -> "httpx.AsyncClient":
        import httpx

        if self._client is None:
            # A proxy is for other machines.
            outside = not is_loopback(urlsplit(self._url).hostname or "")
            limits = httpx.Timeout(ANSWER_S, connect=CONNECT_S)
            self._client = httpx.AsyncClient(timeout=limits, trust_env=outside, headers={}, follow_redirects=False)
            for name in list(self._client.headers):
                del self._client.headers[name]
        return self._client

    async def _whole(self, reply: "httpx.Response", request: OutsideRequest) -> bytes:
        content = bytearray()
        async for part in reply.aiter_raw():
            content += part
            if len(content) > REPLY_BYTES:
                text = f"Replies of more than {REPLY_BYTES} bytes are not passed on. Read the object in ranges."
                raise ApiError("NotImplementedException", text, status=501)
        return bytes(content)

    def _prepared(self, request: OutsideRequest) -> tuple[str, str, dict[str, str], bytes]:
        headers = {name: text for name, text in request.headers.items() if name not in _OF_A_CONNECTION}
        credentials = self._credentials
        signed = "authorization" in headers or "Signature=" in request.query
        if credentials is None and signed:
            return request.path, request.query, headers, request.body
        credentials = credentials or Credentials(request.account, "test")
        return self._signed(request, credentials, headers)

    def _signed(
        self, request: OutsideRequest, credentials: Credentials, headers: dict[str, str]
    ) -> tuple[str, str, dict[str, str], bytes]:
        body = request.body
        if headers.get("x-amz-content-sha256", "").startswith("STREAMING-"):
            body = unchunked(body)
            headers = {
                name: text
                for name, text in headers.items()
                if name not in ("x-amz-trailer", "x-amz-decoded-content-length")
            }
            encodings = [part.strip() for part in headers.pop("content-encoding", "").split(",")]
            if rest := ",".join(part for part in encodings if part not in ("", "aws-chunked")):
                headers["content-encoding"] = rest
        headers = {name: text for name, text in headers.items() if name not in _OF_A_SIGNATURE}
        path = path_with_bucket(request)
        parts = request.query.split("&") if request.query else []
        query = "&".join(part for part in parts if not _OF_A_PRESIGNED_QUERY.fullmatch(part))
        url = f"{self._url}{path}{'?' + query if query else ''}"
        outgoing = AWSRequest(method=request.method, url=url, data=body, headers=headers)
        kind = S3SigV4Auth if request.service.startswith("s3") else SigV4Auth
        kind(credentials, request.service, request.region).add_auth(outgoing)
        return path, query, {name: str(text) for name, text in outgoing.headers.items()}, body


def unchunked(body: bytes) -> bytes:
    """The content of a body in aws-chunked encoding. Raises `ApiError` for a body that is not."""
    parts: list[bytes] = []
    place = 0
    while True:
        end = body.find(b"\r\n", place)
        size = body[place:end].partition(b";")[0].strip() if end >= 0 else b""
        if not size or len(size) > 16 or not all(byte in b"0123456789abcdefABCDEF" for byte in size):
            raise ApiError("IncompleteBody", "The body is not in aws-chunked encoding.", status=400)
        length = int(size, 16)
        if length == 0:
            return b"".join(parts)
        parts.append(body[end + 2 : end + 2 + length])
        place = end + 2 + length + 2
