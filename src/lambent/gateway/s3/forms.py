"""POST forms: a page uploads a file with fields that somebody has signed. It becomes a PutObject."""

import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlencode

from lambent.aws.errors import ApiError
from lambent.aws.keys import Secret
from lambent.aws.service import ANYONE
from lambent.aws.streams import CHUNK_BYTES, Upload
from lambent.gateway import sigv4
from lambent.gateway.authenticate import Authenticator
from lambent.gateway.body import BodyReader
from lambent.gateway.http import HttpRequest, HttpResponse
from lambent.gateway.protocols import xml_body
from lambent.gateway.protocols.rest_xml import CONTENT_TYPE
from lambent.gateway.quirks.s3 import invalid_argument, malformed_xml
from lambent.gateway.s3 import payload, post_policy
from lambent.gateway.s3.addressing import Address, check_key
from lambent.gateway.s3.multipart import MultipartForm
from lambent.gateway.s3.payload import Claims
from lambent.gateway.s3.post_policy import SizeRange
from lambent.gateway.s3.signatures import POST, VERSION_2, Signed, check_token, does_not_match

_KIND: Final = "multipart/form-data"
_OF_VERSION_4: Final = ("X-Amz-Signature", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date")
_OF_VERSION_2: Final = ("AWSAccessKeyId", "Signature")
_HEADERS: Final = frozenset(
    {"content-type", "cache-control", "content-disposition", "content-encoding", "content-language", "expires"}
)
_OF_THE_FORM: Final = frozenset(
    {"x-amz-signature", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-security-token"}
)
_STATUSES: Final = {"200": 200, "201": 201, "204": 204}


def is_form(head: HttpRequest, address: Address) -> bool:
    return head.method == "POST" and address.bucket is not None and address.key is None and not head.query


class Form:
    def __init__(self, parts: MultipartForm, key: str) -> None:
        self._parts = parts
        self.fields = {**parts.fields, "key": key}
        self.key = key
        self.sizes = SizeRange()

    def headers(self, of_request: Mapping[str, str]) -> dict[str, str]:
        """As a PutObject would have sent them. Raises `ApiError` MalformedXML for bad tags."""
        kept = {name: text for name, text in of_request.items() if name in ("host", "origin", "user-agent")}
        kept |= {
            name: text
            for name, text in self.fields.items()
            if name in _HEADERS or (name.startswith("x-amz-") and name not in _OF_THE_FORM)
        }
        if "acl" in self.fields:
            kept["x-amz-acl"] = self.fields["acl"]
        if "tagging" in self.fields:
            kept["x-amz-tagging"] = _tags(self.fields["tagging"])
        return kept

    def upload(self) -> Upload:
        """Raises `ApiError`, at its end too: EntityTooLarge, EntityTooSmall, BadDigest."""
        claims = payload.claims_of(self.fields)

        def check(ended: Upload) -> None:
            post_policy.check_size(ended.size_bytes, self.sizes)
            payload.check("PutObject", Claims(None, claims.md5, claims.algorithm, claims.checksum), ended)

        return Upload(self._content(), checksum_algorithm=claims.algorithm, check=check)

    async def _content(self) -> AsyncIterator[bytes]:
        size, most = 0, self.sizes.most if self.sizes.most is not None else payload.MOST_BYTES
        async for piece in self._parts.content():
            size += len(piece)
            if size > most:
                post_policy.check_size(size, SizeRange(0, most))
            for start in range(0, len(piece), CHUNK_BYTES):
                yield piece[start : start + CHUNK_BYTES]

    def reply(self, response: HttpResponse, base_url: str, address: Address) -> HttpResponse:
        if response.status >= 300:
            return response
        etag = next((text for name, text in response.headers if name.lower() == "etag"), "")
        location = f"{base_url}{'' if address.by_host else f'/{address.bucket}'}/{quote(self.key, safe='/')}"
        target = self.fields.get("success_action_redirect") or self.fields.get("redirect", "")
        if target.startswith(("http://", "https://")):
            told = urlencode({"bucket": address.bucket or "", "key": self.key, "etag": etag})
            where = f"{target}{'&' if '?' in target else '?'}{told}"
            return HttpResponse(303, (*response.headers, ("Location", where)))
        headers = (*response.headers, ("Location", location))
        status = _STATUSES.get(self.fields.get("success_action_status", ""), 204)
        if status != 201:
            return HttpResponse(status, headers)
        told_in_body = {"Location": location, "Bucket": address.bucket or "", "Key": self.key, "ETag": etag}
        content = "".join(xml_body.element(name, text) for name, text in told_in_body.items())
        return HttpResponse(201, (CONTENT_TYPE, *headers), xml_body.document("PostResponse", "", content))


async def read(head: HttpRequest, body: BodyReader) -> Form:
    """The fields. Raises `ApiError`."""
    content_type = head.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != _KIND:
        raise ApiError(
            "PreconditionFailed",
            "At least one of the pre-conditions you specified did not hold",
            status=412,
            members={"Condition": f"Bucket POST must be of the enclosure-type {_KIND}"},
        )
    payload.length_of({}, body)
    parts = MultipartForm(content_type, payload.in_time(body))
    await parts.read()
    if "key" not in parts.fields:
        raise _needs("key")
    if not parts.has_file:
        raise invalid_argument("POST requires exactly one file upload per request.", "file", "0")
    key = parts.fields["key"].replace("${filename}", parts.filename)
    if not key:
        raise invalid_argument("User key must have a length greater than 0.", "key", "")
    check_key(key)
    return Form(parts, key)


def signed(form: Form, address: Address, authenticator: Authenticator, now: datetime) -> Signed:
    """Who has signed the policy, which allows the fields. Raises `ApiError`."""
    fields = form.fields
    policy = fields.get("policy")
    if policy is None:
        return Signed(ANYONE, None, {})
    if any(name.lower() in fields for name in _OF_VERSION_4):
        found = _by_version_4(fields, policy, authenticator)
    elif any(name.lower() in fields for name in _OF_VERSION_2):
        found = _by_version_2(fields, policy, authenticator)
    else:
        raise ApiError("AccessDenied", "Access Denied", status=403)
    form.sizes = post_policy.check(policy, fields, address.bucket or "", now)
    return found


def _by_version_4(fields: Mapping[str, str], policy: str, authenticator: Authenticator) -> Signed:
    for name in _OF_VERSION_4:
        if name.lower() not in fields:
            raise _needs(name)
    try:
        credential = sigv4.credential_from_scope(fields["x-amz-credential"])
    except ApiError as error:
        text = (
            "Error parsing the X-Amz-Credential parameter; the Credential is mal-formed; expecting "
            '"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".'
        )
        raise ApiError("AuthorizationQueryParametersError", text, status=400) from error
    identity, secret = authenticator.identify(credential.access_key_id)
    if secret is not None:
        key = sigv4.signing_key(secret.access_key, credential.date, credential.region, credential.service)
        wanted = hmac.new(key, policy.encode(), hashlib.sha256).hexdigest()
        _compare(fields, secret, wanted, fields["x-amz-signature"], credential.access_key_id)
    found = Signed(identity, credential.region, {}, verified=secret is not None)
    return replace(found, way=POST, version=sigv4.ALGORITHM)


def _by_version_2(fields: Mapping[str, str], policy: str, authenticator: Authenticator) -> Signed:
    for name in _OF_VERSION_2:
        if name.lower() not in fields:
            raise _needs(name)
    identity, secret = authenticator.identify(fields["awsaccesskeyid"])
    if secret is not None:
        wanted = hmac.new(secret.access_key.encode(), policy.encode(), hashlib.sha1).digest()
        _compare(fields, secret, base64.b64encode(wanted).decode(), fields["signature"], identity.access_key_id)
    return Signed(identity, None, {}, verified=secret is not None, way=POST, version=VERSION_2)


def _compare(fields: Mapping[str, str], secret: Secret, wanted: str, given: str, access_key_id: str) -> None:
    check_token(fields.get("x-amz-security-token"), secret)
    if not hmac.compare_digest(wanted.encode(), given.encode()):
        raise does_not_match(access_key_id, fields["policy"], given)


def _needs(name: str) -> ApiError:
    order = "If it is specified, please check the order of the fields."
    return invalid_argument(f"Bucket POST must contain a field named '{name}'.  {order}", name, "")


def _tags(text: str) -> str:
    try:
        root = xml_body.read(text.encode())
    except xml_body.Malformed as error:
        raise malformed_xml() from error
    tags = [{part.name: part.text for part in tag.children} for group in root.children for tag in group.children]
    if root.name != "Tagging" or any(tag.keys() != {"Key", "Value"} for tag in tags):
        raise malformed_xml()
    return urlencode([(tag["Key"], tag["Value"]) for tag in tags])
