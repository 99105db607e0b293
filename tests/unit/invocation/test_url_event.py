"""Requests to function URLs as events of payload format 2.0 (spec of events, "Function URL event and response")."""

from dataclasses import replace
from typing import Any

import pytest

from lambent.aws.service import Identity
from lambent.invocation.url_event import UrlRequest, event_of

ID = "a" * 32
DOMAIN = f"{ID}.lambda-url.us-east-1.localhost"
REQUEST = UrlRequest(
    method="GET",
    path="/",
    query="",
    headers={"host": f"{DOMAIN}:4566", "user-agent": "curl/8"},
    body=b"",
    domain=DOMAIN,
    scheme="http",
    port=4566,
    source_ip="127.0.0.1",
    request_id="r",
    caller=None,
)


def event(**changes: Any) -> dict[str, Any]:
    request = replace(REQUEST, **changes)
    return event_of(request, url_id=ID, account="123456789012", trace_id="Root=1-5e67", epoch_ms=1_584_039_838_123)


def test_the_event_of_a_plain_request() -> None:
    assert event() == {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/",
        "rawQueryString": "",
        "headers": {
            "host": f"{DOMAIN}:4566",
            "user-agent": "curl/8",
            "x-amzn-trace-id": "Root=1-5e67",
            "x-forwarded-for": "127.0.0.1",
            "x-forwarded-port": "4566",
            "x-forwarded-proto": "http",
        },
        "requestContext": {
            "accountId": "anonymous",
            "apiId": ID,
            "domainName": DOMAIN,
            "domainPrefix": ID,
            "http": {
                "method": "GET",
                "path": "/",
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "curl/8",
            },
            "requestId": "r",
            "routeKey": "$default",
            "stage": "$default",
            "time": "12/Mar/2020:19:03:58 +0000",
            "timeEpoch": 1_584_039_838_123,
        },
        "isBase64Encoded": False,
    }


def test_a_signed_request_tells_its_caller_and_not_its_signature() -> None:
    caller = Identity("111122223333", "arn:aws:iam::111122223333:user/team/ann", "AKIDEXAMPLE")
    headers = {"authorization": "AWS4-HMAC-SHA256 ...", "x-amz-security-token": "t", "x-amz-date": "d"}
    signed = event(caller=caller, headers=headers)
    assert signed["requestContext"]["accountId"] == "123456789012"
    assert signed["requestContext"]["authorizer"] == {
        "iam": {
            "accessKey": "AKIDEXAMPLE",
            "accountId": "111122223333",
            "callerId": "ann",
            "cognitoIdentity": None,
            "principalOrgId": None,
            "userArn": "arn:aws:iam::111122223333:user/team/ann",
            "userId": "ann",
        }
    }
    assert signed["headers"].keys() & {*headers} == {"x-amz-date"}
    assert event(headers={"authorization": "Bearer x"})["headers"]["authorization"] == "Bearer x"


def test_odd_escapes_stay_in_the_path() -> None:
    odd = event(path="/pa2%Fth/1")
    assert (odd["rawPath"], odd["requestContext"]["http"]["path"]) == ("/pa2%Fth/1", "/pa2%Fth/1")


@pytest.mark.parametrize(
    ("query", "parameters"),
    [
        ("a=1&b=2&a=3", {"a": "1,3", "b": "2"}),
        ("q=Hello%20World+%C3%A4&empty=&bare", {"q": "Hello World ä", "empty": "", "bare": ""}),
        ("a=%FF", {"a": "\N{REPLACEMENT CHARACTER}"}),
        ("&&", None),
    ],
)
def test_parameters_are_decoded_and_joined(query: str, parameters: dict[str, str] | None) -> None:
    assert event(query=query)["rawQueryString"] == query
    assert event(query=query).get("queryStringParameters") == parameters


def test_cookies_have_a_place_of_their_own() -> None:
    with_cookies = event(headers={"cookie": "a=1; b=x,y;c=3"})
    assert with_cookies["cookies"] == ["a=1", "b=x,y", "c=3"]
    assert "cookie" not in with_cookies["headers"]


@pytest.mark.parametrize(
    ("content_type", "body", "told"),
    [
        ("text/plain; charset=utf-8", "grüße".encode(), ("grüße", False)),
        ("application/json", b'{"a":1}', ('{"a":1}', False)),
        ("Application/Problem+JSON", b"{}", ("{}", False)),
        ("application/xml", b"<a/>", ("<a/>", False)),
        ("application/javascript", b"1", ("1", False)),
        ("application/x-www-form-urlencoded", b"a=1", ("YT0x", True)),
        ("multipart/form-data; boundary=x", b"--x", ("LS14", True)),
        ("application/octet-stream", b"\x00\xff", ("AP8=", True)),
        ("text/plain", b"\xff", ("/w==", True)),
        ("", b"a", ("YQ==", True)),
    ],
)
def test_a_body_is_text_or_base64(content_type: str, body: bytes, told: tuple[str, bool]) -> None:
    with_body = event(method="POST", headers={"content-type": content_type}, body=body)
    assert (with_body["body"], with_body["isBase64Encoded"]) == told
    assert with_body["headers"]["content-length"] == str(len(body))


def test_headers_of_the_connection_and_claims_of_a_proxy_are_not_told() -> None:
    headers = {"connection": "close", "transfer-encoding": "chunked", "x-forwarded-for": "6.6.6.6", "x-mine": "1,2"}
    told = event(headers=headers)["headers"]
    assert told["x-forwarded-for"] == "127.0.0.1"
    assert told["x-mine"] == "1,2"
    assert not told.keys() & {"connection", "transfer-encoding"}
