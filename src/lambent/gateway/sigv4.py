"""Signature Version 4: read what a request claims, and verify it against a secret.

Pure: no state, no clock. Covers the Authorization header and presigned queries. What S3 signs otherwise, its chunks
and its words are in `s3`.
"""

import functools
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import parse_qsl, quote, unquote

from lambent.aws.errors import ApiError
from lambent.gateway.http import HttpRequest

ALGORITHM: Final = "AWS4-HMAC-SHA256"
ASYMMETRIC: Final = "AWS4-ECDSA-P256-SHA256"
SKEW: Final = timedelta(minutes=15)
LONGEST_PRESIGNED: Final = timedelta(days=7)
UNSIGNED_PAYLOAD: Final = "UNSIGNED-PAYLOAD"
CHUNKED_PAYLOAD: Final = "STREAMING-"
"""How the hash of a chunked body begins: the signature covers the headers, each chunk has its own."""
_BLANKS: Final = re.compile(" +")


@dataclass(frozen=True, slots=True)
class Credential:
    """What a request says of its signer. Nothing here is verified."""

    access_key_id: str
    date: str
    region: str
    service: str


@dataclass(frozen=True, slots=True)
class Signature:
    credential: Credential
    signed_headers: tuple[str, ...]
    signature: str
    timestamp: str
    """`20261120T220415Z`"""
    security_token: str | None
    expires: timedelta | None
    """Set for a presigned query alone."""


def missing_token() -> ApiError:
    return ApiError("MissingAuthenticationTokenException", "Missing Authentication Token", status=403)


def incomplete(message: str) -> ApiError:
    return ApiError("IncompleteSignatureException", message, status=403)


def mismatch(message: str | None = None) -> ApiError:
    return ApiError(
        "InvalidSignatureException",
        message
        or "The request signature we calculated does not match the signature you provided. "
        "Check your AWS Secret Access Key and signing method. Consult the service documentation for details.",
        status=403,
    )


def unknown_token() -> ApiError:
    return ApiError("UnrecognizedClientException", "The security token included in the request is invalid.", status=403)


def credential_of(headers: Mapping[str, str], query: str) -> Credential:
    """Who signed, by an AWS-shaped Authorization header or a presigned query; not verified.

    Raises `ApiError`: MissingAuthenticationTokenException, IncompleteSignatureException.
    """
    authorization = headers.get("authorization")
    if authorization is not None:
        algorithm, _, rest = authorization.partition(" ")
        if algorithm not in (ALGORITHM, ASYMMETRIC):
            raise missing_token()
        start = rest.find("Credential=")
        if start < 0:
            raise incomplete("Authorization header requires 'Credential' parameter.")
        scope = rest[start + 11 :].partition(",")[0].strip()
    elif "X-Amz-Credential=" in query:
        parameters = dict(parse_qsl(query, keep_blank_values=True))
        algorithm, scope = parameters.get("X-Amz-Algorithm", ALGORITHM), parameters.get("X-Amz-Credential", "")
    elif "AWSAccessKeyId=" in query:
        return _before_version_4(query)
    else:
        raise missing_token()
    if algorithm == ASYMMETRIC:
        region_set = headers.get("x-amz-region-set", "us-east-1").split(",")[0].strip()
        return _without_region(scope, "us-east-1" if region_set == "*" else region_set)
    return credential_from_scope(scope)


def _before_version_4(query: str) -> Credential:
    """URLs of S3 that SDKs still presign without a region; it is S3's default one."""
    parameters = dict(parse_qsl(query, keep_blank_values=True))
    if not all(parameters.get(name) for name in ("AWSAccessKeyId", "Signature", "Expires")):
        raise missing_token()
    return Credential(parameters["AWSAccessKeyId"], "", "us-east-1", "s3")


def signing_name(request: HttpRequest) -> str | None:
    """The service that a request was signed for; None when it says none."""
    try:
        return credential_of(request.headers, request.query).service
    except ApiError:
        return None


@functools.lru_cache(maxsize=1024)
def credential_from_scope(scope: str) -> Credential:
    """`AKID/20261120/us-east-1/lambda/aws4_request`."""
    # An access key may hold slashes; the scope may not.
    parts = scope.rsplit("/", 4)
    if len(parts) != 5 or parts[4] != "aws4_request" or not all(parts):
        raise incomplete("Credential should be scoped to a valid region and service, and end with aws4_request.")
    return Credential(*parts[:4])


def _without_region(scope: str, region: str) -> Credential:
    parts = scope.rsplit("/", 3)
    if len(parts) != 4 or parts[3] != "aws4_request" or not all(parts):
        raise incomplete("Credential should be scoped to a valid service and end with aws4_request.")
    return Credential(parts[0], parts[1], region, parts[2])


def signature_of(request: HttpRequest) -> Signature:
    """All parts of the signature. Raises `ApiError` as `credential_of` does."""
    credential = credential_of(request.headers, request.query)
    authorization = request.headers.get("authorization")
    if authorization is not None:
        algorithm, _, rest = authorization.partition(" ")
        fields = dict(part.strip().partition("=")[::2] for part in rest.split(","))
        signed, value = fields.get("SignedHeaders", ""), fields.get("Signature", "")
        timestamp = request.headers.get("x-amz-date", "")
        token, expires = request.headers.get("x-amz-security-token"), None
    else:
        query = dict(parse_qsl(request.query, keep_blank_values=True))
        algorithm = query.get("X-Amz-Algorithm", "")
        signed, value = query.get("X-Amz-SignedHeaders", ""), query.get("X-Amz-Signature", "")
        timestamp, token = query.get("X-Amz-Date", ""), query.get("X-Amz-Security-Token")
        seconds = query.get("X-Amz-Expires", "")
        if not (seconds.isascii() and seconds.isdigit() and int(seconds[:9]) <= LONGEST_PRESIGNED.total_seconds()):
            raise incomplete("X-Amz-Expires must be a number of seconds up to 604800.")
        expires = timedelta(seconds=int(seconds))
    if algorithm != ALGORITHM or not signed or not value or not timestamp:
        raise incomplete("The request is signed incompletely, or with another algorithm than AWS4-HMAC-SHA256.")
    names = tuple(signed.split(";"))
    if "host" not in names:
        raise mismatch("'Host' must be a signed header.")
    return Signature(credential, names, value, timestamp, token, expires)


def verify(request: HttpRequest, signature: Signature, secret_access_key: str, *, now: datetime) -> None:
    """Raise `ApiError` InvalidSignatureException unless the request was signed with this secret, recently."""
    _check_time(signature, now)
    scope = signature.credential
    if scope.date != signature.timestamp[:8]:
        raise mismatch("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP.")
    canonical = canonical_request(request, signature)
    text = "\n".join(
        (
            ALGORITHM,
            signature.timestamp,
            f"{scope.date}/{scope.region}/{scope.service}/aws4_request",
            hashlib.sha256(canonical.encode()).hexdigest(),
        )
    )
    key = signing_key(secret_access_key, scope.date, scope.region, scope.service)
    expected = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), signature.signature.encode()):
        raise mismatch()


@functools.lru_cache(maxsize=4096)
def signing_key(secret_access_key: str, date: str, region: str, service: str) -> bytes:
    key = b"AWS4" + secret_access_key.encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def canonical_request(request: HttpRequest, signature: Signature, payload_hash: str | None = None) -> str:
    """`payload_hash`: as it was signed, of a body that is not here yet."""
    headers = request.headers
    lines = [f"{name}:{_BLANKS.sub(' ', headers.get(name, '').strip())}\n" for name in signature.signed_headers]
    return "\n".join(
        (
            request.method,
            _canonical_path(request.path, signature.credential.service),
            _canonical_query(request.query),
            "".join(lines),
            ";".join(signature.signed_headers),
            _payload_hash(request) if payload_hash is None else payload_hash,
        )
    )


def _canonical_path(path: str, service: str) -> str:
    """S3 signs the path as it is; every other service encodes it once more."""
    if service == "s3":
        return path or "/"
    return quote(_normalised(path), safe="/~")


def _normalised(path: str) -> str:
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            if kept:
                kept.pop()
        elif segment not in ("", "."):
            kept.append(segment)
    end = "/" if kept and path.endswith("/") else ""
    return f"/{'/'.join(kept)}{end}"


def _canonical_query(query: str) -> str:
    pairs = []
    for part in query.split("&") if query else ():
        key, _, value = part.partition("=")
        if key != "X-Amz-Signature":
            pairs.append((_recoded(key), _recoded(value)))
    return "&".join(f"{key}={value}" for key, value in sorted(pairs))


def _recoded(text: str) -> str:
    return quote(unquote(text.replace("+", "%20")), safe="-_.~")


def _payload_hash(request: HttpRequest) -> str:
    claimed = request.headers.get("x-amz-content-sha256")
    if claimed == UNSIGNED_PAYLOAD or (claimed or "").startswith(CHUNKED_PAYLOAD):
        return str(claimed)
    actual = hashlib.sha256(request.body).hexdigest()
    if claimed is not None and claimed != actual:
        raise mismatch("The provided 'x-amz-content-sha256' header does not match what was computed.")
    return actual


def _check_time(signature: Signature, now: datetime) -> None:
    try:
        signed_at = datetime.strptime(signature.timestamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise incomplete("Date must be in ISO-8601 'basic format'.") from error
    if signed_at > now + SKEW:
        raise mismatch(f"Signature not yet current: {signature.timestamp} is still later than now.")
    last = signed_at + (signature.expires if signature.expires is not None else SKEW)
    if now > last:
        raise mismatch(f"Signature expired: {signature.timestamp} is now earlier than the oldest time accepted.")
