"""Whatever is sent to a function URL becomes an event, whatever a function returns becomes a reply."""

import json
import re
import string
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from lambent.functions.url_address import PATH, address_of, domain, function_url, port_of
from lambent.invocation.url_event import UrlRequest, event_of
from lambent.invocation.url_response import response_of

ID = "a" * 32
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

latin = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=40)
hosts = st.one_of(
    latin,
    st.builds("{}.lambda-url.{}.{}".format, st.sampled_from([ID, "x", ""]), latin, latin),
    st.builds("{}.lambda-url.us-east-1.{}:{}".format, st.just(ID), st.sampled_from(["localhost", "[::1]"]), latin),
)
paths = st.builds("{}{}".format, st.sampled_from(["/", PATH, PATH + ID]), latin)
names = st.sampled_from(["cookie", "content-type", "user-agent", "x-amzn-trace-id", "origin", "a"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
structured = st.fixed_dictionaries(
    {"statusCode": st.sampled_from([200, "200", 204, 99, None, 2**80]) | values},
    optional={
        "headers": values | st.dictionaries(st.sampled_from(["a", "Date", "ä", "connection"]), values),
        "cookies": values | st.lists(values),
        "body": values,
        "isBase64Encoded": st.booleans() | values,
    },
)


@given(host=hosts, path=paths)
def test_any_host_and_path_are_an_address_or_none(host: str, path: str) -> None:
    found = address_of(host, path)
    if found is not None:
        assert found.path.startswith("/")
        assert domain(found.host, ID, "us-east-1").startswith(ID)
    assert port_of(host, "http") >= 0


@given(port=st.integers(1, 65535), region=st.sampled_from(["us-east-1", "us-gov-west-1"]))
def test_an_address_leads_back_to_its_id(port: int, region: str) -> None:
    host = function_url(f"http://127.0.0.1:{port}", ID, region).removeprefix("http://").removesuffix("/")
    found = address_of(host, "/a")
    assert found is not None
    assert (found.url_id, found.region, found.host) == (ID, region, f"localhost:{port}")


@given(query=latin, headers=st.dictionaries(names, latin), body=st.binary(max_size=20))
def test_any_request_is_an_event(query: str, headers: dict[str, str], body: bytes) -> None:
    request = UrlRequest(
        method="POST",
        path="/",
        query=query,
        headers=headers,
        body=body,
        domain="d",
        scheme="http",
        port=80,
        source_ip="127.0.0.1",
        request_id="r",
        caller=None,
    )
    event = event_of(request, url_id=ID, account="0" * 12, trace_id="t", epoch_ms=0)
    again = orjson.loads(orjson.dumps(event))
    assert again == event
    assert ("body" in event) == bool(body)


@given(result=values | structured, ascii_only=st.booleans())
def test_any_result_is_a_reply_that_can_be_sent(result: Any, ascii_only: bool) -> None:
    payload = json.dumps(result, ensure_ascii=ascii_only).encode("utf-8", "replace")
    response = response_of(payload)
    assert 200 <= response.status <= 599
    assert response.status not in (204, 304) or not response.body
    for name, value in response.headers:
        assert TOKEN.fullmatch(name)
        assert isinstance(value, str)


@given(payload=st.binary(max_size=30) | st.text(string.printable, max_size=30).map(str.encode))
def test_any_payload_is_a_reply(payload: bytes) -> None:
    assert response_of(payload).status in (200, 502) or b"statusCode" in payload
