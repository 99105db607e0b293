"""URLs and forms that somebody has signed, as botocore makes them, and requests that nobody has signed."""

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import httpx
import pytest
from botocore.config import Config

from lambent.aws.keys import KnownKey, Secret
from lambent.core.clock import SystemClock
from lambent.environments.ports import SessionCredentials
from lambent.gateway.app import Gateway
from lambent.gateway.authenticate import OneSession
from lambent.gateway.keys import KnownKeys
from lambent.testing.manual_clock import ManualClock
from lambent.testing.served import served
from tests.contract.gateway.s3_kit import OWNER, SmallS3

KEY_ID = "AKIAIOSFODNN7EXAMPLE"
SECRET = "secret"
TEMPORARY_ID = "ASIAIOSFODNN7EXAMPLE"
TOKEN = "token/+="
RULE = {
    "AllowedMethods": ["GET", "PUT", "POST"],
    "AllowedOrigins": ["https://*.example.com"],
    "AllowedHeaders": ["x-*"],
}
PAGE = {"Origin": "https://www.example.com"}


@pytest.fixture
def s3(tmp_path: Path) -> SmallS3:
    found = SmallS3(tmp_path)
    found.bucket("photos", cors=[{**RULE, "ExposeHeaders": ["ETag"], "MaxAgeSeconds": 30}])
    found.bucket("plain")
    found.bucket("far", region="eu-west-1")
    return found


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime.now(UTC).replace(microsecond=0))


@pytest.fixture
async def web(s3: SmallS3, clock: ManualClock) -> AsyncIterator[httpx.AsyncClient]:
    keys = KnownKeys(clock)
    keys.learn(KEY_ID, KnownKey(OWNER, f"arn:aws:iam::{OWNER}:user/u", "AIDA", secret=Secret(SECRET)))
    keys.learn(TEMPORARY_ID, KnownKey(OWNER, f"arn:aws:iam::{OWNER}:user/u", "AIDA", secret=Secret(SECRET, TOKEN)))
    gateway = Gateway({"s3": s3.service()}, keys=keys, clock=clock)
    async with served(gateway.public()) as port, httpx.AsyncClient(base_url=f"http://localhost:{port}") as client:
        yield client


def signer(web: httpx.AsyncClient, version: str = "s3v4", key_id: str = KEY_ID, **config: Any) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=str(web.base_url),
        region_name="us-east-1",
        aws_access_key_id=key_id,
        aws_secret_access_key=config.pop("secret", SECRET),
        aws_session_token=config.pop("token", None),
        config=Config(signature_version=version, retries={"total_max_attempts": 1}, **config),
    )


def url_of(api: Any, operation: str = "get_object", expires: int = 60, **parameters: Any) -> str:
    url: str = api.generate_presigned_url(
        operation, Params={"Bucket": "photos", "Key": "a b+c", **parameters}, ExpiresIn=expires
    )
    return url


def code_of(reply: httpx.Response) -> str:
    return reply.text.partition("<Code>")[2].partition("</Code>")[0]


VERSIONS = pytest.mark.parametrize("version", ["s3", "s3v4"])


@VERSIONS
@pytest.mark.parametrize(("key_id", "token"), [(KEY_ID, None), (TEMPORARY_ID, TOKEN), ("111111111111", None)])
async def test_a_presigned_put_and_get_work(
    web: httpx.AsyncClient, s3: SmallS3, version: str, key_id: str, token: str | None
) -> None:
    api = signer(web, version, key_id, token=token)
    put = await web.put(url_of(api, "put_object"), content=b"content")
    assert put.status_code == 200, put.text
    got = await web.get(url_of(api))
    assert (got.status_code, got.content) == (200, b"content")
    operation, context, parameters = s3.seen[0]
    assert (operation, parameters["Key"]) == ("PutObject", "a b+c")
    assert context.account == (OWNER if token or key_id == KEY_ID else key_id)


@VERSIONS
async def test_headers_that_were_signed_have_to_come(web: httpx.AsyncClient, s3: SmallS3, version: str) -> None:
    url = url_of(signer(web, version), "put_object", ContentType="text/plain", Metadata={"a": "b"})
    sent = {"Content-Type": "text/plain", "x-amz-meta-a": "b"}
    reply = await web.put(url, content=b"x", headers=sent)
    assert reply.status_code == 200, reply.text
    assert s3.seen[0][2]["Metadata"] == {"a": "b"}
    other = await web.put(url, content=b"x", headers={**sent, "Content-Type": "text/html"})
    assert (other.status_code, code_of(other)) == (403, "SignatureDoesNotMatch")
    if version == "s3v4":
        unsigned = await web.put(url, content=b"x", headers={**sent, "x-amz-acl": "private"})
        assert (unsigned.status_code, code_of(unsigned)) == (403, "AccessDenied")
        assert "<HeadersNotSigned>x-amz-acl</HeadersNotSigned>" in unsigned.text


@VERSIONS
async def test_one_signature_with_a_wrong_secret_is_refused_with_what_was_to_be_signed(
    web: httpx.AsyncClient, version: str
) -> None:
    reply = await web.get(url_of(signer(web, version, secret="wrong")))
    assert (reply.status_code, code_of(reply)) == (403, "SignatureDoesNotMatch")
    assert f"<AWSAccessKeyId>{KEY_ID}</AWSAccessKeyId><StringToSign>" in reply.text
    assert "<SignatureProvided>" in reply.text
    assert ("<CanonicalRequest>" in reply.text) == (version == "s3v4")


@VERSIONS
async def test_a_temporary_key_needs_its_token(web: httpx.AsyncClient, version: str) -> None:
    reply = await web.get(url_of(signer(web, version, TEMPORARY_ID)))
    assert (reply.status_code, code_of(reply)) == (400, "InvalidToken")


@VERSIONS
async def test_an_expired_url_is_refused_whoever_has_signed_it(
    web: httpx.AsyncClient, clock: ManualClock, version: str
) -> None:
    urls = [url_of(signer(web, version, key_id), expires=60) for key_id in (KEY_ID, "111111111111")]
    await clock.advance(70)
    for url in urls:
        reply = await web.get(url)
        assert (reply.status_code, code_of(reply)) == (403, "AccessDenied")
        assert "<Message>Request has expired</Message>" in reply.text
        assert ("<X-Amz-Expires>60</X-Amz-Expires>" in reply.text) == (version == "s3v4")
        assert "<ServerTime>" in reply.text


@pytest.mark.parametrize(
    ("change", "status", "code", "text"),
    [
        (("X-Amz-Signature=", "Other="), 400, "AuthorizationQueryParametersError", "version 4 requires the X-Amz-"),
        (("X-Amz-Date=", "Other="), 400, "AuthorizationQueryParametersError", "version 4 requires the X-Amz-"),
        (("X-Amz-Expires=60", "X-Amz-Expires=604801"), 400, "AuthorizationQueryParametersError", "less than a week"),
        (("X-Amz-Expires=60", "X-Amz-Expires=-1"), 400, "AuthorizationQueryParametersError", "must be non-negative"),
        (("aws4_request", "aws5"), 400, "AuthorizationQueryParametersError", "the Credential is mal-formed; expecting"),
    ],
)
async def test_a_malformed_url_is_refused_in_words_of_aws(
    web: httpx.AsyncClient, change: tuple[str, str], status: int, code: str, text: str
) -> None:
    reply = await web.get(url_of(signer(web)).replace(*change))
    assert (reply.status_code, code_of(reply)) == (status, code)
    assert text in reply.text


async def test_a_url_of_version_2_that_lacks_a_part_is_refused(web: httpx.AsyncClient) -> None:
    reply = await web.get(url_of(signer(web, "s3")).replace("Signature=", "Other="))
    assert (reply.status_code, code_of(reply)) == (403, "AccessDenied")
    assert "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters" in reply.text


async def test_a_url_of_version_2_is_good_for_both_styles_of_address(web: httpx.AsyncClient, s3: SmallS3) -> None:
    s3.path("a b+c").write_bytes(b"content")
    url = httpx.URL(url_of(signer(web, "s3"), VersionId="v", ResponseContentType="text/css"))
    host = {"Host": f"photos.s3.localhost:{web.base_url.port}"}
    path = url.raw_path.replace(b"/photos/", b"/", 1)
    reply = await web.get(url.copy_with(raw_path=path), headers=host)
    assert (reply.status_code, reply.content) == (200, b"content"), reply.text


async def test_a_header_that_an_sdk_has_put_into_the_query_counts(web: httpx.AsyncClient, s3: SmallS3) -> None:
    url = url_of(signer(web, key_id="111111111111"), "put_object") + "&x-amz-storage-class=GLACIER&x-amz-meta-a=b"
    assert (await web.put(url, content=b"x")).status_code == 200
    assert s3.seen[0][2]["StorageClass"] == "GLACIER"
    assert s3.seen[0][2]["Metadata"] == {"a": "b"}


async def test_a_signed_request_with_a_wrong_clock_is_refused_where_the_secret_is_known(
    web: httpx.AsyncClient, clock: ManualClock
) -> None:
    await clock.advance(3600)
    with pytest.raises(Exception, match=r"\(RequestTimeTooSkewed\)"):
        await asyncio.to_thread(signer(web).list_buckets)
    assert await asyncio.to_thread(signer(web, key_id="111111111111").list_buckets)


async def test_a_bucket_of_another_region_is_found_by_its_redirect(web: httpx.AsyncClient) -> None:
    api = signer(web)
    reply = await asyncio.to_thread(api.put_object, Bucket="far", Key="k", Body=b"x")
    assert reply["ResponseMetadata"]["HTTPStatusCode"] == 200
    url = url_of(signer(web), Bucket="far")
    refused = await web.get(url)
    assert (refused.status_code, code_of(refused)) == (301, "PermanentRedirect")
    assert refused.headers["x-amz-bucket-region"] == "eu-west-1"
    host = {"Host": f"far.s3.localhost:{web.base_url.port}"}
    by_host = await web.get(url_of(signer(web, key_id="111111111111")).replace("/photos/", "/"), headers=host)
    assert (by_host.status_code, code_of(by_host)) == (400, "AuthorizationHeaderMalformed")
    assert "the region 'us-east-1' is wrong; expecting 'eu-west-1'" in by_host.text


@pytest.mark.parametrize("expected", ["123456789012", "111111111111", "me"])
async def test_the_owner_of_a_bucket_may_be_asked_for(web: httpx.AsyncClient, expected: str) -> None:
    url = url_of(signer(web), "put_object", ExpectedBucketOwner=expected)
    reply = await web.put(url, content=b"x", headers={"x-amz-expected-bucket-owner": expected})
    wanted = {"123456789012": (200, ""), "111111111111": (403, "AccessDenied")}
    assert (reply.status_code, code_of(reply)) == wanted.get(expected, (400, "InvalidBucketOwnerAWSAccountID"))


# Requests of nobody


async def test_nobody_reads_only_what_is_open_to_all(web: httpx.AsyncClient, s3: SmallS3) -> None:
    s3.path("k").write_bytes(b"content")
    refused = await web.get("/photos/k")
    assert (refused.status_code, code_of(refused)) == (403, "AccessDenied")
    s3.public.add(("GetObject", "photos"))
    for path, host in (("/photos/k", ""), ("/k", "photos.s3."), ("/k", "photos.s3.us-east-1.")):
        reply = await web.get(path, headers={"Host": f"{host}localhost:{web.base_url.port}"})
        assert (reply.status_code, reply.content) == (200, b"content")
        assert reply.headers["content-security-policy"].startswith("sandbox")
    assert s3.seen[0][1].identity.arn == "anonymous"
    assert s3.seen[0][1].account == OWNER
    assert (await web.put("/photos/k", content=b"x")).status_code == 403
    other = await web.get("/photos/k?response-content-type=text/html")
    assert (other.status_code, code_of(other)) == (400, "InvalidRequest")
    missing = await web.get("/k", headers={"Host": "missing.s3.localhost"})
    assert (missing.status_code, code_of(missing)) == (404, "NoSuchBucket")
    # What is no bucket's may be anybody's.
    assert (await web.get("/missing/k")).json()["message"] == "Missing Authentication Token"


# Pages


async def test_a_preflight_is_answered_from_the_rules_of_the_bucket(web: httpx.AsyncClient) -> None:
    asked = {**PAGE, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "X-One, x-two"}
    reply = await web.options("/photos/k", headers=asked)
    assert (reply.status_code, reply.content) == (200, b"")
    headers = reply.headers
    assert headers["access-control-allow-origin"] == "https://www.example.com"
    assert headers["access-control-allow-credentials"] == "true"
    assert headers["access-control-allow-methods"] == "GET, PUT, POST"
    assert headers["access-control-allow-headers"] == "x-one, x-two"
    assert headers["access-control-expose-headers"] == "ETag"
    assert headers["access-control-max-age"] == "30"
    assert headers["vary"] == "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"


@pytest.mark.parametrize(
    ("path", "headers", "code", "text"),
    [
        ("/photos/k", {}, "BadRequest", "Insufficient information. Origin request header needed."),
        ("/plain/k", PAGE, "AccessForbidden", "CORSResponse: CORS is not enabled for this bucket."),
        ("/photos/k", {"Origin": "https://other.test"}, "AccessForbidden", "<ResourceType>OBJECT</ResourceType>"),
        ("/photos", {"Origin": "https://other.test"}, "AccessForbidden", "<ResourceType>BUCKET</ResourceType>"),
        ("/photos/k", {**PAGE, "Access-Control-Request-Method": "DELETE"}, "AccessForbidden", "the evalution of Orig"),
        ("/photos/k", {**PAGE, "Access-Control-Request-Headers": "y"}, "AccessForbidden", "This CORS request is not"),
    ],
)
async def test_a_preflight_that_no_rule_allows_is_refused(
    web: httpx.AsyncClient, path: str, headers: Mapping[str, str], code: str, text: str
) -> None:
    asked = {"Access-Control-Request-Method": "GET", **headers}
    reply = await web.options(path, headers=asked)
    assert code_of(reply) == code
    assert text in reply.text


async def test_replies_to_a_page_have_its_headers_and_other_pages_get_replies_without(
    web: httpx.AsyncClient, s3: SmallS3
) -> None:
    url = url_of(signer(web))
    for status, content in ((404, None), (200, b"content")):
        if content is not None:
            s3.path("a b+c").write_bytes(content)
        allowed = await web.get(url, headers=PAGE)
        assert allowed.status_code == status
        assert allowed.headers["access-control-allow-origin"] == "https://www.example.com"
        other = await web.get(url, headers={"Origin": "https://other.test"})
        assert other.status_code == status
        assert "access-control-allow-origin" not in other.headers


async def test_a_page_changes_nothing_with_a_key_that_it_has_invented(web: httpx.AsyncClient) -> None:
    foreign = {"Origin": "https://other.test"}
    invented = url_of(signer(web, key_id="111111111111"), "put_object")
    assert (await web.put(invented, content=b"x", headers=foreign)).status_code == 403
    assert (await web.put(invented, content=b"x", headers=PAGE)).status_code == 200
    signed = url_of(signer(web), "put_object")
    assert (await web.put(signed, content=b"x", headers=foreign)).status_code == 200


# Forms


def form_of(api: Any, key: str = "up/${filename}", **more: Any) -> tuple[str, dict[str, str]]:
    fields, conditions = more.pop("Fields", {}), more.pop("Conditions", [])
    conditions += [{name: value} for name, value in fields.items()]
    post = api.generate_presigned_post("photos", key, Fields=dict(fields), Conditions=conditions, **more)
    return post["url"], post["fields"]


async def sent(
    web: httpx.AsyncClient,
    form: tuple[str, dict[str, str]],
    content: bytes = b"content",
    headers: Mapping[str, str] | None = None,
) -> httpx.Response:
    files = {"file": ("C:\\dir\\a.txt", content)}
    return await web.post(form[0], data=form[1], files=files, headers=dict(headers or {}))


@VERSIONS
@pytest.mark.parametrize(("key_id", "token"), [(KEY_ID, None), (TEMPORARY_ID, TOKEN), ("111111111111", None)])
async def test_a_form_uploads_its_file(
    web: httpx.AsyncClient, s3: SmallS3, version: str, key_id: str, token: str | None
) -> None:
    fields = {"acl": "private", "Content-Type": "text/css", "x-amz-meta-a": "b", "success_action_status": "201"}
    content = bytes(range(256)) * 4000
    reply = await sent(web, form_of(signer(web, version, key_id, token=token), Fields=fields), content)
    assert reply.status_code == 201, reply.text
    assert s3.path("up/a.txt").read_bytes() == content
    _, context, parameters = s3.seen[0]
    assert context.by_form
    assert (parameters["ACL"], parameters["ContentType"], parameters["Metadata"]) == ("private", "text/css", {"a": "b"})
    assert "<Bucket>photos</Bucket><Key>up/a.txt</Key><ETag>" in reply.text
    assert reply.headers["location"].endswith("/photos/up/a.txt")


async def test_a_form_answers_with_a_status_or_a_redirect(web: httpx.AsyncClient) -> None:
    api = signer(web)
    assert (await sent(web, form_of(api))).status_code == 204
    assert (await sent(web, form_of(api, Fields={"success_action_status": "418"}))).status_code == 204
    there = await sent(web, form_of(api, Fields={"success_action_redirect": "http://a.test/x?y=1"}))
    assert there.status_code == 303
    told = parse_qs(urlsplit(there.headers["location"]).query)
    assert (told["bucket"], told["key"], told["y"]) == (["photos"], ["up/a.txt"], ["1"])
    assert told["etag"][0].startswith('"')
    assert (await sent(web, form_of(api, Fields={"success_action_redirect": "/relative"}))).status_code == 204


@VERSIONS
async def test_a_form_with_a_wrong_signature_is_refused(web: httpx.AsyncClient, version: str) -> None:
    url, fields = form_of(signer(web, version, secret="wrong"))
    reply = await sent(web, (url, fields))
    assert (reply.status_code, code_of(reply)) == (403, "SignatureDoesNotMatch")
    assert f"<StringToSign>{fields['policy']}</StringToSign>" in reply.text


async def test_the_conditions_of_a_policy_hold_for_its_form(
    web: httpx.AsyncClient, s3: SmallS3, clock: ManualClock
) -> None:
    api = signer(web)
    conditions: list[Any] = [["starts-with", "$X-Amz-Meta-A", "b"], ["content-length-range", "2", 4]]
    url, fields = form_of(api, "k", Conditions=conditions)
    for change, content, code, text in (
        ({"x-amz-meta-a": "c"}, b"123", "AccessDenied", 'failed: ["starts-with", "$x-amz-meta-a", "b"]'),
        ({"key": "other"}, b"123", "AccessDenied", 'Policy Condition failed: ["eq", "$key", "k"]'),
        ({"more": "1"}, b"123", "AccessDenied", "Invalid according to Policy: Extra input fields: more"),
        ({}, b"1", "EntityTooSmall", "<MinSizeAllowed>2</MinSizeAllowed>"),
        ({}, b"12345", "EntityTooLarge", "<ProposedSize>5</ProposedSize><MaxSizeAllowed>4</MaxSizeAllowed>"),
    ):
        reply = await sent(web, (url, {**fields, "x-amz-meta-a": "bc", **change}), content)
        assert code_of(reply) == code
        assert text.replace('"', "&quot;") in reply.text or text in reply.text
    assert not s3.path("k").exists()
    assert (await sent(web, (url, {**fields, "x-amz-meta-a": "bc", "x-ignore-1": "1"}), b"123")).status_code == 204
    await clock.advance(3601)
    late = await sent(web, (url, {**fields, "x-amz-meta-a": "bc"}), b"123")
    assert "<Message>Invalid according to Policy: Policy expired.</Message>" in late.text


@pytest.mark.parametrize(
    ("document", "code", "text"),
    [
        (b"[", "InvalidPolicyDocument", "Invalid Policy: Invalid JSON."),
        (b'{"conditions": []}', "InvalidPolicyDocument", "expiration"),
        (b'{"expiration": "soon", "conditions": []}', "InvalidPolicyDocument", "expiration"),
        (b'{"expiration": "2100-01-01T00:00:00Z"}', "InvalidPolicyDocument", "conditions"),
        (
            b'{"expiration": "2100-01-01T00:00:00Z", "conditions": [{"a": "b", "c": "d"}]}',
            "InvalidPolicyDocument",
            "Invalid Policy: Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.",
        ),
    ],
)
async def test_a_policy_that_is_none_is_refused(web: httpx.AsyncClient, document: bytes, code: str, text: str) -> None:
    url, fields = form_of(signer(web, key_id="111111111111"))
    reply = await sent(web, (url, {**fields, "policy": base64.b64encode(document).decode()}))
    assert (reply.status_code, code_of(reply)) == (400, code)
    assert text in reply.text


async def test_a_form_says_which_field_it_lacks(web: httpx.AsyncClient) -> None:
    url, fields = form_of(signer(web))
    unsigned = {name: text for name, text in fields.items() if name != "x-amz-signature"}
    reply = await sent(web, (url, unsigned))
    assert code_of(reply) == "InvalidArgument"
    assert "must contain a field named 'X-Amz-Signature'.  If it is specified, please check the order" in reply.text
    only = await sent(web, (url, {"key": "k", "policy": fields["policy"]}))
    assert (only.status_code, code_of(only)) == (403, "AccessDenied")
    nobody = await sent(web, (url, {"key": "k"}))
    assert (nobody.status_code, code_of(nobody)) == (403, "AccessDenied")
    plain = await web.post("/photos", content=b"x", headers={"Host": "s3.localhost"})
    assert (plain.status_code, code_of(plain)) == (412, "PreconditionFailed")
    assert "Bucket POST must be of the enclosure-type multipart/form-data" in plain.text


async def test_a_form_of_another_site_needs_a_secret_that_is_known_or_a_rule(web: httpx.AsyncClient) -> None:
    foreign = {"Origin": "https://other.test"}
    invented = form_of(signer(web, key_id="111111111111"))
    assert (await sent(web, invented, headers=foreign)).status_code == 403
    assert (await sent(web, invented, headers=PAGE)).status_code == 204
    assert (await sent(web, form_of(signer(web)), headers=foreign)).status_code == 204


async def test_nobody_may_upload_a_form_to_what_is_open_to_all(web: httpx.AsyncClient, s3: SmallS3) -> None:
    s3.public.add(("PutObject", "plain"))
    url = f"{web.base_url}/plain".replace("//plain", "/plain")
    tags = "<Tagging><TagSet><Tag><Key>a</Key><Value>b c</Value></Tag></TagSet></Tagging>"
    reply = await sent(web, (url, {"key": "k", "tagging": tags}))
    assert reply.status_code == 204, reply.text
    assert s3.seen[0][2]["Tagging"] == "a=b+c"
    bad = await sent(web, (url, {"key": "k", "tagging": "<Tagging"}))
    assert code_of(bad) == "MalformedXML"


# Inside a sandbox


async def test_a_function_signs_with_its_session_and_nobody_else_gets_in(s3: SmallS3) -> None:
    role = f"arn:aws:iam::{OWNER}:role/r"
    session = SessionCredentials(OWNER, "us-east-1", role, "f", TEMPORARY_ID, SECRET, TOKEN)
    gateway = Gateway({"s3": s3.service()})
    front = gateway.private(OneSession(session, gateway.keys, SystemClock()))
    async with served(front) as port, httpx.AsyncClient(base_url=f"http://localhost:{port}") as web:
        own = signer(web, "s3v4", TEMPORARY_ID, token=TOKEN)
        await asyncio.to_thread(own.put_object, Bucket="photos", Key="k", Body=b"x")
        for version in ("s3", "s3v4"):
            assert (await web.get(url_of(signer(web, version, TEMPORARY_ID, token=TOKEN), Key="k"))).content == b"x"
        wrong = signer(web, "s3v4", TEMPORARY_ID, secret="wrong", token=TOKEN)
        for stranger in (signer(web, key_id="111111111111"), wrong):
            assert (await web.get(url_of(stranger))).status_code == 403
        assert (await web.get("/photos/k")).status_code == 403
