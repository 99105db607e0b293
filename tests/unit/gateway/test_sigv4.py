"""Signature Version 4, with botocore as the signer."""

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from lambent.aws.errors import ApiError
from lambent.gateway.http import HttpRequest
from lambent.gateway.sigv4 import credential_of, signature_of, verify

SECRET = "wJalrXUtnFEMI/K7MDENG"
KEYS = Credentials("AKIDEXAMPLE", SECRET, "the/token+==")
HOST = "http://127.0.0.1:4566"


def signed(
    method: str = "POST", path: str = "/2015-03-31/functions", body: bytes = b"{}", *, service: str = "lambda",
    presigned: bool = False,
) -> HttpRequest:  # fmt: skip
    request = AWSRequest(method, HOST + path, data=body)
    if presigned:
        SigV4QueryAuth(KEYS, service, "eu-west-1", expires=60).add_auth(request)
    else:
        (S3SigV4Auth if service == "s3" else SigV4Auth)(KEYS, service, "eu-west-1").add_auth(request)
    prepared = request.prepare()
    raw_path, _, query = prepared.url.removeprefix(HOST).partition("?")
    sent = {k.lower(): v.decode() if isinstance(v, bytes) else v for k, v in prepared.headers.items()}
    return HttpRequest(method, raw_path, query, {"host": "127.0.0.1:4566", **sent}, body, HOST)


def check(request: HttpRequest, *, secret: str = SECRET, now: datetime | None = None) -> None:
    verify(request, signature_of(request), secret, now=now or datetime.now(UTC))


def changed(request: HttpRequest, **changes: object) -> HttpRequest:
    fields = ("method", "path", "query", "headers", "body", "base_url")
    return HttpRequest(*[changes.get(name, getattr(request, name)) for name in fields])  # type: ignore[arg-type]


PATHS = st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=8), max_size=4).map(
    lambda segments: "/" + "/".join(quote(segment, safe="-_.~") for segment in segments)
)
QUERIES = st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=3).map(
    lambda pairs: "&".join(f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}" for k, v in pairs if k)
)


@settings(max_examples=150, deadline=None, database=None)
@given(path=PATHS, query=QUERIES, body=st.binary(max_size=20), service=st.sampled_from(["lambda", "s3", "logs"]))
def test_what_botocore_signs_is_verified(path: str, query: str, body: bytes, service: str) -> None:
    if any(segment in (".", "..") for segment in path.split("/")):
        return
    check(signed("POST", f"{path}?{query}" if query else path, body, service=service))


def test_a_presigned_query_is_verified_until_it_expires() -> None:
    request = signed("GET", "/2015-03-31/functions?Marker=a%2Fb", b"", presigned=True)
    check(request)
    with pytest.raises(ApiError, match="Signature expired"):
        check(request, now=datetime.now(UTC) + timedelta(seconds=62))


@pytest.mark.parametrize(
    "change",
    [
        {"method": "PUT"},
        {"path": "/2015-03-31/functions/x"},
        {"query": "a=b"},
        {"body": b"{ }"},
    ],
)
def test_anything_changed_after_signing_is_refused(change: dict[str, object]) -> None:
    request = signed()
    with pytest.raises(ApiError) as raised:
        check(changed(request, **change))
    assert (raised.value.code, raised.value.status) == ("InvalidSignatureException", 403)


def test_another_secret_is_refused() -> None:
    with pytest.raises(ApiError, match="does not match"):
        check(signed(), secret="other")


@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_signature_is_good_for_fifteen_minutes(minutes: int) -> None:
    with pytest.raises(ApiError, match="Signature"):
        check(signed(), now=datetime.now(UTC) + timedelta(minutes=minutes))


def test_an_unsigned_host_is_refused() -> None:
    request = signed()
    headers = {
        **request.headers,
        "authorization": request.headers["authorization"].replace("SignedHeaders=host;", "SignedHeaders="),
    }
    with pytest.raises(ApiError, match="signed header"):
        check(changed(request, headers=headers))


def test_the_scope_names_account_region_and_service() -> None:
    credential = credential_of(signed(service="logs").headers, "")
    assert (credential.access_key_id, credential.region, credential.service) == ("AKIDEXAMPLE", "eu-west-1", "logs")


def test_the_asymmetric_form_takes_its_region_from_its_header() -> None:
    headers = {
        "authorization": "AWS4-ECDSA-P256-SHA256 Credential=AKID/20261120/lambda/aws4_request, SignedHeaders=host",
        "x-amz-region-set": "eu-north-1",
    }
    assert credential_of(headers, "").region == "eu-north-1"


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (None, "MissingAuthenticationTokenException"),
        ("Bearer x", "MissingAuthenticationTokenException"),
        ("AWS4-HMAC-SHA256 Signature=x", "IncompleteSignatureException"),
        ("AWS4-HMAC-SHA256 Credential=a/b/c/aws4_request", "IncompleteSignatureException"),
        ("AWS4-HMAC-SHA256 Credential=a/b//d/aws4_request", "IncompleteSignatureException"),
        ("AWS4-HMAC-SHA256 Credential=a/b/c/d/aws5_request", "IncompleteSignatureException"),
    ],
)
def test_what_is_no_signature_is_refused(authorization: str | None, code: str) -> None:
    with pytest.raises(ApiError) as raised:
        credential_of({} if authorization is None else {"authorization": authorization}, "")
    assert (raised.value.code, raised.value.status) == (code, 403)
