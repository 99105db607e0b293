"""The body of a request of S3 as an `Upload`: its limits, its encoding, and what its client has said of it.

Checked while it passes: the length, the hash that was signed, Content-MD5, a checksum in a header or a trailer.
"""

import base64
import binascii
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Final

from lambent.aws import checksums
from lambent.aws.errors import ApiError
from lambent.aws.streams import Upload
from lambent.gateway.body import BodyReader
from lambent.gateway.s3.chunks import ChunkSignatures, decoded
from lambent.gateway.sigv4 import CHUNKED_PAYLOAD, UNSIGNED_PAYLOAD

MOST_BYTES: Final = 5 * 1024**3
CHECKSUM: Final = "x-amz-checksum-"
CONTENT_HASH: Final = "x-amz-content-sha256"
_NO_CHECKSUMS: Final = frozenset({"algorithm", "type", "mode"})


@dataclass(frozen=True, slots=True)
class Claims:
    """What a client says of its body, before it has sent it."""

    sha256: str | None
    md5: bytes | None
    algorithm: str | None
    """Of a checksum."""
    checksum: bytes | None
    """None where it comes in a trailer."""

    @property
    def trailer(self) -> str | None:
        return None if self.algorithm is None or self.checksum is not None else CHECKSUM + self.algorithm.lower()


def is_chunked(headers: Mapping[str, str]) -> bool:
    return headers.get(CONTENT_HASH, "").startswith(CHUNKED_PAYLOAD)


def claims_of(headers: Mapping[str, str]) -> Claims:
    """Raises `ApiError`: InvalidDigest, InvalidRequest, NotImplemented."""
    names = [name for name in headers if name.startswith(CHECKSUM) and name[len(CHECKSUM) :] not in _NO_CHECKSUMS]
    announced = [name.strip().lower() for name in headers.get("x-amz-trailer", "").split(",")]
    names += [name for name in announced if name.startswith(CHECKSUM)]
    if len(set(names)) > 1:
        text = "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
        raise ApiError("InvalidRequest", text, status=400)
    algorithm = names[0][len(CHECKSUM) :].upper() if names else None
    if algorithm is not None and algorithm not in checksums.LENGTHS:
        text = "A header you provided implies functionality that is not implemented"
        raise ApiError("NotImplemented", text, status=501, members={"Header": names[0]})
    checksum = None
    if algorithm is not None and names[0] in headers:
        checksum = _checksum(names[0], algorithm, headers[names[0]])
    claimed = headers.get(CONTENT_HASH)
    if claimed is not None and (claimed == UNSIGNED_PAYLOAD or claimed.startswith(CHUNKED_PAYLOAD)):
        claimed = None
    return Claims(claimed, _md5(headers.get("content-md5")), algorithm, checksum)


def length_of(headers: Mapping[str, str], body: BodyReader) -> int:
    """Of the content. Raises `ApiError`: MissingContentLength, EntityTooLarge, InvalidArgument."""
    length = _decoded_length(headers) if is_chunked(headers) else body.announced
    if length is None:
        if not is_chunked(headers) and body.is_absent:
            return 0
        raise ApiError("MissingContentLength", "You must provide the Content-Length HTTP header.", status=411)
    if length > MOST_BYTES:
        raise ApiError(
            "EntityTooLarge",
            "Your proposed upload exceeds the maximum allowed size",
            status=400,
            members={"ProposedSize": length, "MaxSizeAllowed": MOST_BYTES},
        )
    return length


def upload_of(
    operation: str, headers: Mapping[str, str], body: BodyReader, signatures: ChunkSignatures | None = None
) -> Upload:
    """Raises `ApiError` for what its headers tell already."""
    claims, length = claims_of(headers), length_of(headers, body)
    trailers: dict[str, str] = {}
    pieces = in_time(body)
    if is_chunked(headers):
        pieces = decoded(pieces, length, trailers, signatures)
    upload = Upload(
        pieces,
        length_bytes=length,
        checksum_algorithm=claims.algorithm,
        trailers=trailers,
        check=lambda ended: check(operation, claims, ended),
    )
    if claims.sha256 is not None:
        upload.want("SHA256")
    return upload


def check(operation: str, claims: Claims, upload: Upload) -> None:
    """Of what has ended. Raises `ApiError`: XAmzContentSHA256Mismatch, BadDigest."""
    if claims.sha256 is not None:
        found = upload.digest("SHA256").hex()
        if found != claims.sha256:
            raise ApiError(
                "XAmzContentSHA256Mismatch",
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
                status=400,
                members={"ClientComputedContentSHA256": claims.sha256, "S3ComputedContentSHA256": found},
            )
    if claims.md5 is not None and (md5 := upload.digest(checksums.MD5)) != claims.md5:
        # AWS prints one of them in hex, and only there.
        expected = claims.md5.hex() if operation == "PutObject" else base64.b64encode(claims.md5).decode()
        raise ApiError(
            "BadDigest",
            "The Content-MD5 you specified did not match what we received.",
            status=400,
            members={"ExpectedDigest": expected, "CalculatedDigest": base64.b64encode(md5).decode()},
        )
    if claims.algorithm is None:
        return
    wanted = claims.checksum
    if claims.trailer is not None:
        sent = upload.trailers.get(claims.trailer)
        if sent is None:
            raise ApiError("MalformedTrailerError", _NO_TRAILER, status=400)
        wanted = _checksum(claims.trailer, claims.algorithm, sent)
    if upload.digest(claims.algorithm) != wanted:
        text = f"The {claims.algorithm} you specified did not match the calculated checksum."
        raise ApiError("BadDigest", text, status=400)


async def checked(operation: str, headers: Mapping[str, str], content: bytes) -> None:
    """The same for a body that is here as a whole."""
    claims = claims_of(headers)
    if claims.md5 is None and claims.algorithm is None and claims.sha256 is None:
        return
    whole = Upload.of(content)
    for algorithm in (claims.algorithm, "SHA256" if claims.sha256 is not None else None):
        if algorithm is not None:
            whole.want(algorithm)
    async for _ in whole:
        pass
    check(operation, claims, whole)


_NO_TRAILER: Final = (
    "The request contained trailing data that was not well-formed or did not conform to our published schema."
)


async def in_time(body: BodyReader) -> AsyncIterator[bytes]:
    try:
        async for piece in body.pieces():
            yield piece
    except TimeoutError as error:
        raise ApiError(
            "RequestTimeout",
            "Your socket connection to the server was not read from or written to within the timeout period. "
            "Idle connections will be closed.",
            status=400,
        ) from error


def _decoded_length(headers: Mapping[str, str]) -> int | None:
    text = headers.get("x-amz-decoded-content-length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def _md5(text: str | None) -> bytes | None:
    if text is None:
        return None
    found = _base64(text)
    if found is None or len(found) != 16:
        text = text[:1024]
        raise ApiError(
            "InvalidDigest", "The Content-MD5 you specified was invalid.", status=400, members={"Content-MD5": text}
        )
    return found


def _checksum(name: str, algorithm: str, text: str) -> bytes:
    found = _base64(text)
    if found is None or len(found) != checksums.LENGTHS[algorithm]:
        raise ApiError("InvalidRequest", f"Value for {name} header is invalid.", status=400)
    return found


def _base64(text: str) -> bytes | None:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError):
        return None
