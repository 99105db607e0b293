"""Results of functions as replies of function URLs; bodies marked in the spec as recorded are so marked here."""

import json
from typing import Any

import pytest

from lambent.functions.records import Cors
from lambent.invocation.url_cors import is_preflight, preflight, with_cors
from lambent.invocation.url_response import UrlResponse, response_of

BAD_GATEWAY = UrlResponse(502, [("Content-Type", "text/plain")], b"Internal Server Error")


@pytest.mark.parametrize(
    ("result", "body"),
    [
        # Recorded.
        ({"hello": "world"}, b'{"hello":"world"}'),
        (["hello", 3, True], b'["hello",3,true]'),
        (3, b"3"),
        (3.1, b"3.1"),
        ("hello", b"hello"),
        # Ours.
        (None, b"null"),
        (True, b"true"),
        ("", b""),
        (2**70, str(2**70).encode()),
        ("\ud800", b"?"),
        (["\ud800"], b'["\\ud800"]'),
        ({"body": "no statusCode"}, b'{"body":"no statusCode"}'),
    ],
)
def test_any_result_is_the_body_of_a_200(result: Any, body: bytes) -> None:
    response = response_of(json.dumps(result).encode())
    assert response == UrlResponse(200, [("Content-Type", "application/json")], body)


def structured(**members: Any) -> UrlResponse:
    return response_of(json.dumps(members).encode())


def test_a_result_with_a_status_is_the_response() -> None:
    headers = {"content-type": "text/html", "X-Number": 5, "x-flag": True, "x-none": None}
    response = structured(statusCode=201, headers=headers, cookies=["a=1; Secure", "b=2"], body="<p>")
    assert response.status == 201
    assert list(response.headers) == [
        ("content-type", "text/html"),
        ("X-Number", "5"),
        ("x-flag", "true"),
        ("Set-Cookie", "a=1; Secure"),
        ("Set-Cookie", "b=2"),
    ]
    assert response.body == b"<p>"


@pytest.mark.parametrize(
    ("members", "response"),
    [
        ({"statusCode": 200}, (200, b"")),
        ({"statusCode": "404", "body": None}, (404, b"")),
        ({"statusCode": 200, "body": {"a": [1]}}, (200, b'{"a":[1]}')),
        ({"statusCode": 200, "body": 7}, (200, b"7")),
        ({"statusCode": 200, "body": "AP8=", "isBase64Encoded": True}, (200, b"\x00\xff")),
        ({"statusCode": 200, "body": "AP8=", "isBase64Encoded": False}, (200, b"AP8=")),
        ({"statusCode": 204, "body": "x"}, (204, b"")),
        ({"statusCode": 304, "body": "x"}, (304, b"")),
    ],
)
def test_bodies_of_responses(members: dict[str, Any], response: tuple[int, bytes]) -> None:
    got = structured(**members)
    assert (got.status, got.body) == response
    assert list(got.headers) == [("Content-Type", "application/json")]


@pytest.mark.parametrize(
    "members",
    [
        {"statusCode": None},
        {"statusCode": True},
        {"statusCode": 200.5},
        {"statusCode": "abc"},
        {"statusCode": 100},
        {"statusCode": 600},
        {"statusCode": 200, "headers": ["a"]},
        {"statusCode": 200, "headers": {"a": ["b"]}},
        {"statusCode": 200, "headers": {"a b": "c"}},
        {"statusCode": 200, "headers": {"ä": "c"}},
        {"statusCode": 200, "cookies": "a=1"},
        {"statusCode": 200, "body": "not base64", "isBase64Encoded": True},
        {"statusCode": 200, "body": "ä", "isBase64Encoded": True},
    ],
)
def test_a_response_that_is_none_is_a_bad_gateway(members: dict[str, Any]) -> None:
    assert structured(**members) == BAD_GATEWAY


@pytest.mark.parametrize("payload", [b"", b"{", b"\xff", b"[" * 100_000])
def test_a_payload_that_is_no_json_is_a_bad_gateway(payload: bytes) -> None:
    assert response_of(payload) == BAD_GATEWAY


def test_headers_of_the_platform_are_not_the_functions() -> None:
    headers = {"Content-Length": "9", "Connection": "close", "WWW-Authenticate": "Basic", "Transfer-Encoding": "gzip"}
    response = structured(statusCode=401, headers=headers)
    assert list(response.headers) == [
        ("Content-Type", "application/json"),
        ("x-amzn-Remapped-www-authenticate", "Basic"),
    ]


ORIGIN = "https://a.example"
CORS = Cors(
    allow_credentials=True,
    allow_headers=("x-one", "x-two"),
    allow_methods=("GET", "PUT"),
    allow_origins=("https://A.example",),
    expose_headers=("x-seen",),
    max_age_s=60,
)


def test_a_preflight_is_answered_from_the_configuration() -> None:
    headers = {"origin": ORIGIN, "access-control-request-method": "PUT"}
    assert is_preflight("OPTIONS", headers)
    assert not is_preflight("OPTIONS", {"origin": ORIGIN})
    assert not is_preflight("GET", headers)
    response = preflight(CORS, headers)
    assert (response.status, response.body) == (200, b"")
    assert dict(response.headers) == {
        "Vary": "Origin",
        "access-control-allow-origin": ORIGIN,
        "access-control-allow-credentials": "true",
        "access-control-allow-methods": "GET,PUT",
        "access-control-allow-headers": "x-one,x-two",
        "access-control-max-age": "60",
    }
    assert dict(preflight(CORS, {"origin": "https://b.example"}).headers) == {"Vary": "Origin"}


def test_configured_headers_replace_those_of_the_function() -> None:
    function = UrlResponse(200, [("Access-Control-Allow-Origin", "*"), ("access-control-max-age", "1"), ("x", "y")])
    response = with_cors(CORS, {"origin": ORIGIN}, function)
    assert dict(response.headers) == {
        "x": "y",
        "access-control-allow-origin": ORIGIN,
        "access-control-allow-credentials": "true",
        "access-control-expose-headers": "x-seen",
        "Vary": "Origin",
    }
    assert dict(with_cors(CORS, {"origin": "https://b.example"}, function).headers) == {"x": "y"}
    assert with_cors(None, {"origin": ORIGIN}, function) == function
    only_age = with_cors(Cors(max_age_s=5), {"origin": ORIGIN}, function)
    assert dict(only_age.headers) == {"Access-Control-Allow-Origin": "*", "x": "y"}


@pytest.mark.parametrize(("credentials", "allowed"), [(None, "*"), (False, "*"), (True, ORIGIN)])
def test_any_origin(credentials: bool | None, allowed: str) -> None:
    """Browsers take no wildcard together with credentials, so the origin is named then."""
    cors = Cors(allow_origins=("*",), allow_credentials=credentials)
    headers = dict(with_cors(cors, {"origin": ORIGIN}, UrlResponse(200)).headers)
    assert headers["access-control-allow-origin"] == allowed
