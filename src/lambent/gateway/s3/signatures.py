"""Who has signed a request of S3, in a header or in a URL, by version 4 or 2. Pure but for the authenticator's keys.

What a URL says of itself, its shape and its expiry, is checked always; a signature where its secret is known here, as
keys may be invented. S3 has words of its own for each failure.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import parse_qsl, unquote

from lambent.aws.errors import ApiError
from lambent.aws.keys import Secret
from lambent.aws.service import ANYONE, Identity
from lambent.gateway import sigv4
from lambent.gateway.authenticate import Authenticator
from lambent.gateway.http import HttpRequest
from lambent.gateway.s3.addressing import Address
from lambent.gateway.s3.chunks import ChunkSignatures
from lambent.gateway.s3.payload import CONTENT_HASH
from lambent.gateway.sigv4 import Credential, Signature

HEADER: Final = "REST-HEADER"
QUERY: Final = "REST-QUERY-STRING"
POST: Final = "POST"
VERSION_2: Final = "AWS"
DEFAULT_REGION: Final = "us-east-1"
LONGEST: Final = 604_800
_OF_VERSION_4: Final = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Signature",
    "X-Amz-Date",
    "X-Amz-SignedHeaders",
    "X-Amz-Expires",
)
_OF_VERSION_2: Final = ("AWSAccessKeyId", "Signature", "Expires")
_SIGNING: Final = frozenset(name.lower() for name in (*_OF_VERSION_4, "X-Amz-Security-Token"))
_COVERED: Final = """
    accelerate acl analytics cors defaultObjectAcl delete encryption intelligent-tiering inventory legal-hold lifecycle
    location logging metrics notification object-lock partNumber policy publicAccessBlock replication requestPayment
    response-cache-control response-content-disposition response-content-encoding response-content-language
    response-content-type response-expires restore retention select select-type storageClass tagging torrent uploadId
    uploads versionId versioning versions website
"""
_SUB_RESOURCES: Final = frozenset(_COVERED.split())
"""Parameters that a signature of version 2 covers."""
_MISMATCH: Final = (
    "The request signature we calculated does not match the signature you provided. Check your key and signing method."
)


@dataclass(frozen=True, slots=True)
class Signed:
    identity: Identity
    region: str | None
    """None where the signature names none."""
    headers: Mapping[str, str]
    """Of the request, with those that a presigned URL carries in its query."""
    chunks: ChunkSignatures | None = None
    """Where the chunks of the body are signed and the secret is known."""
    verified: bool = False
    """Signed with a secret that is known here."""
    way: str = ""
    """As policies call it: `REST-HEADER`, `REST-QUERY-STRING`, `POST`; empty: not signed."""
    version: str = ""
    """`AWS4-HMAC-SHA256`, or `AWS` for version 2."""
    moment: datetime | None = None
    """When it was signed, where it says so."""


def is_signed(head: HttpRequest) -> bool:
    """In any way, right or wrong."""
    if "authorization" in head.headers:
        return True
    query = head.query
    return any(name in query for name in ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature")) or (
        "AWSAccessKeyId=" in query or ("Signature=" in query and "Expires=" in query)
    )


def signed(head: HttpRequest, address: Address, authenticator: Authenticator, now: datetime) -> Signed:
    """Raises `ApiError`."""
    if not is_signed(head):
        return Signed(ANYONE, None, head.headers)
    if "authorization" in head.headers:
        return _by_header(head, authenticator, now)
    query = dict(parse_qsl(head.query, keep_blank_values=True))
    if any(name in query for name in ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature")):
        return _by_query(head, query, authenticator, now)
    return _by_version_2(head, query, address, authenticator, now)


def _by_header(head: HttpRequest, authenticator: Authenticator, now: datetime) -> Signed:
    credential = sigv4.credential_of(head.headers, head.query)
    identity, secret = authenticator.identify(credential.access_key_id)
    if secret is None:
        return Signed(identity, credential.region, head.headers, way=HEADER, version=sigv4.ALGORITHM)
    signature = _malformed_is_ours(head)
    check_token(signature.security_token, secret)
    moment = _moment(signature.timestamp)
    if abs(now - moment) > sigv4.SKEW:
        raise ApiError(
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
            status=403,
            members={
                "RequestTime": signature.timestamp,
                "ServerTime": _iso(now),
                "MaxAllowedSkewMilliseconds": int(sigv4.SKEW.total_seconds() * 1000),
            },
        )
    key = _compare(head, signature, secret, head.headers.get(CONTENT_HASH, sigv4.UNSIGNED_PAYLOAD))
    chunks = None
    if head.headers.get(CONTENT_HASH, "").startswith("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"):
        chunks = ChunkSignatures(key, signature.timestamp, _scope(credential), signature.signature)
    found = Signed(identity, credential.region, head.headers, chunks, verified=True)
    return replace(found, way=HEADER, version=sigv4.ALGORITHM, moment=moment)


def _by_query(head: HttpRequest, query: Mapping[str, str], authenticator: Authenticator, now: datetime) -> Signed:
    if any(name not in query for name in _OF_VERSION_4):
        raise _bad_parameters(
            "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, "
            "X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
        )
    try:
        credential = sigv4.credential_from_scope(query["X-Amz-Credential"])
    except ApiError as error:
        raise _bad_parameters(
            "Error parsing the X-Amz-Credential parameter; the Credential is mal-formed; expecting "
            '"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".'
        ) from error
    if query["X-Amz-Algorithm"] != sigv4.ALGORITHM:
        raise _bad_parameters(f'X-Amz-Algorithm only supports "{sigv4.ALGORITHM} and {sigv4.ASYMMETRIC}"')
    lifetime = _lifetime(query["X-Amz-Expires"])
    try:
        moment = _moment(query["X-Amz-Date"])
    except ApiError as error:
        text = "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\""
        raise _bad_parameters(text) from error
    if now > moment + lifetime:
        raise _expired(moment + lifetime, now, {"X-Amz-Expires": query["X-Amz-Expires"]})
    if moment > now + sigv4.SKEW:
        raise ApiError("AccessDenied", "Request is not yet valid", status=403)
    names = tuple(query["X-Amz-SignedHeaders"].split(";"))
    unsigned = [name for name in head.headers if name.startswith("x-amz-") and name not in names]
    unsigned = [name for name in unsigned if name != CONTENT_HASH]
    if unsigned:
        raise ApiError(
            "AccessDenied",
            "There were headers present in the request which were not signed",
            status=403,
            members={"HeadersNotSigned": ", ".join(unsigned)},
        )
    identity, secret = authenticator.identify(credential.access_key_id)
    # Some SDKs put headers into the query.
    moved = {
        name.lower(): text
        for name, text in query.items()
        if name.lower().startswith("x-amz-") and name.lower() not in _SIGNING
    }
    headers = {**moved, **head.headers}
    if secret is not None:
        token = query.get("X-Amz-Security-Token")
        check_token(token, secret)
        signature = Signature(credential, names, query["X-Amz-Signature"], query["X-Amz-Date"], token, lifetime)
        claimed = head.headers.get(CONTENT_HASH) if CONTENT_HASH in names else query.get("X-Amz-Content-Sha256")
        _compare(head, signature, secret, claimed or sigv4.UNSIGNED_PAYLOAD)
    found = Signed(identity, credential.region, headers, verified=secret is not None)
    return replace(found, way=QUERY, version=sigv4.ALGORITHM, moment=moment)


def _by_version_2(
    head: HttpRequest, query: Mapping[str, str], address: Address, authenticator: Authenticator, now: datetime
) -> Signed:
    if any(not query.get(name) for name in _OF_VERSION_2):
        text = "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters"
        raise ApiError("AccessDenied", text, status=403)
    text = query["Expires"]
    if not (text.isascii() and text.isdigit() and len(text) < 12):
        raise ApiError("AccessDenied", f"Invalid date (should be seconds since epoch): {text}", status=403)
    expires = datetime.fromtimestamp(int(text), UTC)
    if now > expires:
        raise _expired(expires, now, {})
    identity, secret = authenticator.identify(query["AWSAccessKeyId"])
    moved = {name: value for name, value in query.items() if name.startswith("x-amz-")}
    headers = {**moved, **head.headers}
    if secret is not None:
        check_token(headers.get("x-amz-security-token"), secret)
        wanted = string_of_version_2(head, query, headers, address)
        found = hmac.new(secret.access_key.encode(), wanted.encode(), hashlib.sha1).digest()
        if not hmac.compare_digest(base64.b64encode(found), query["Signature"].encode()):
            raise does_not_match(query["AWSAccessKeyId"], wanted, query["Signature"])
    return Signed(identity, None, headers, verified=secret is not None, way=QUERY, version=VERSION_2)


def string_of_version_2(
    head: HttpRequest, query: Mapping[str, str], headers: Mapping[str, str], address: Address
) -> str:
    """What is signed: the host is not, so one signature is good for both styles of address."""
    plain = [headers.get(name) or query.get(name, "") for name in ("content-md5", "content-type")]
    amazon = sorted(name for name in headers if name.startswith("x-amz-"))
    lines = [head.method, *plain, query["Expires"], *(f"{name}:{headers[name].strip()}" for name in amazon)]
    path = f"/{address.bucket}{head.path}" if address.by_host else head.path
    named = []
    for part in head.query.split("&"):
        name, equals, value = part.partition("=")
        if unquote(name) in _SUB_RESOURCES:
            named.append((name, f"{name}={unquote(value.replace('+', '%20'))}" if equals and value else name))
    resource = "&".join(text for _, text in sorted(named))
    return "\n".join((*lines, f"{path}?{resource}" if resource else path))


def does_not_match(access_key_id: str, text: str, given: str, canonical: str | None = None) -> ApiError:
    members = {
        "AWSAccessKeyId": access_key_id,
        "StringToSign": text,
        "SignatureProvided": given,
        "StringToSignBytes": text.encode().hex(" "),
    }
    if canonical is not None:
        members |= {"CanonicalRequest": canonical, "CanonicalRequestBytes": canonical.encode().hex(" ")}
    return ApiError("SignatureDoesNotMatch", _MISMATCH, status=403, members=members)


def _compare(head: HttpRequest, signature: Signature, secret: Secret, payload_hash: str) -> bytes:
    """The signing key. Raises `ApiError` SignatureDoesNotMatch."""
    credential = signature.credential
    canonical = sigv4.canonical_request(head, signature, payload_hash)
    text = "\n".join(
        (
            sigv4.ALGORITHM,
            signature.timestamp,
            _scope(credential),
            hashlib.sha256(canonical.encode()).hexdigest(),
        )
    )
    key = sigv4.signing_key(secret.access_key, credential.date, credential.region, credential.service)
    wanted = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(wanted.encode(), signature.signature.encode()):
        raise does_not_match(credential.access_key_id, text, signature.signature, canonical)
    return key


def _scope(credential: Credential) -> str:
    return f"{credential.date}/{credential.region}/{credential.service}/aws4_request"


def _malformed_is_ours(head: HttpRequest) -> Signature:
    try:
        return sigv4.signature_of(head)
    except ApiError as error:
        raise ApiError("AuthorizationHeaderMalformed", error.message, status=400) from error


def check_token(given: str | None, secret: Secret) -> None:
    if not hmac.compare_digest((given or "").encode(), (secret.session_token or "").encode()):
        raise ApiError("InvalidToken", "The provided token is malformed or otherwise invalid.", status=400)


def _lifetime(text: str) -> timedelta:
    if text.startswith("-"):
        raise _bad_parameters("X-Amz-Expires must be non-negative")
    if not (text.isascii() and text.isdigit()):
        raise _bad_parameters("X-Amz-Expires should be a number")
    if len(text) > 9 or int(text) > LONGEST:
        raise _bad_parameters(
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than "
            f"{LONGEST} seconds"
        )
    return timedelta(seconds=int(text))


def _bad_parameters(message: str) -> ApiError:
    return ApiError("AuthorizationQueryParametersError", message, status=400)


def _expired(at: datetime, now: datetime, members: Mapping[str, str]) -> ApiError:
    members = {**members, "Expires": _iso(at), "ServerTime": _iso(now)}
    return ApiError("AccessDenied", "Request has expired", status=403, members=members)


def _moment(timestamp: str) -> datetime:
    try:
        return datetime.strptime(timestamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        text = "AWS authentication requires a valid Date or x-amz-date header"
        raise ApiError("AccessDenied", text, status=403) from error


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
