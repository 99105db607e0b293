"""Whatever bytes come, the answer is 4xx (or 2xx, when they happen to be right) or a clean close; never 5xx or a hang.

Over a real socket, with every operation of both models registered, so that only the gateway can fail.
"""

import asyncio
import re
import socket
import threading
from collections.abc import Iterator

import orjson
import pytest
import uvloop
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from lambent.aws.models import service_model
from lambent.aws.service import CallContext, Parameters, Result, Service
from lambent.gateway.app import Gateway
from lambent.gateway.connection import Limits
from lambent.testing.served import served

TIMEOUT_S = 10.0
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
MANY = settings(
    max_examples=200,
    deadline=None,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)


async def nothing(context: CallContext, parameters: Parameters) -> Result:
    return {}


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A server on a loop of its own, so that these tests may block."""
    services = {
        name: Service(name, dict.fromkeys(service_model(name).operation_names, nothing)) for name in ("lambda", "logs")
    }
    ready: list[int] = []
    started, ended = threading.Event(), threading.Event()

    async def serve() -> None:
        async with served(Gateway(services).public(), Limits(header_s=1, body_s=1, linger_s=0.05)) as port:
            ready.append(port)
            started.set()
            await asyncio.to_thread(ended.wait)

    thread = threading.Thread(target=lambda: uvloop.run(serve()))
    thread.start()
    assert started.wait(TIMEOUT_S)
    yield ready[0]
    ended.set()
    thread.join(TIMEOUT_S)


def check(port: int, request: bytes) -> None:
    reply = bytearray()
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as connection:
        try:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65_536):
                reply += part
        except TimeoutError:
            raise
        except OSError:
            # The server has ended the connection while we were still sending.
            pass
    for status in STATUS.findall(bytes(reply)):
        assert 200 <= int(status) < 500, (status, request[:500], bytes(reply[:500]))


AUTHORIZATION = (
    b"AWS4-HMAC-SHA256 Credential=123456789012/20261120/us-east-1/%b/aws4_request, SignedHeaders=host, Signature=00"
)
TOKENS = st.text(st.sampled_from("abcXYZ-_!~*'"), min_size=1, max_size=12).map(str.encode)
BYTES = st.binary(max_size=40)
VALUE_BYTES = BYTES.map(lambda raw: raw.replace(b"\r", b"").replace(b"\n", b""))
TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=8,
)
MEMBERS = {
    "CreateFunction": ("POST", "/2015-03-31/functions"),
    "UpdateFunctionCode": ("PUT", "/2015-03-31/functions/f/code"),
    "UpdateFunctionConfiguration": ("PUT", "/2015-03-31/functions/f/configuration"),
    "CreateEventSourceMapping": ("POST", "/2015-03-31/event-source-mappings"),
    "PutFunctionEventInvokeConfig": ("PUT", "/2019-09-25/functions/f/event-invoke-config"),
    "CreateAlias": ("POST", "/2015-03-31/functions/f/aliases"),
    "TagResource": ("POST", "/2017-03-31/tags/arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Af"),
}
PATHS = st.one_of(
    st.sampled_from([path.encode() for _, path in MEMBERS.values()]),
    st.just(b"/2015-03-31/functions/f/invocations"),
    st.builds(
        b"".join,
        st.lists(
            st.one_of(
                st.sampled_from([b"/2015-03-31", b"/functions", b"/", b"//", b"/..", b"%", b"%00", b"%zz", b"%ff%fe"]),
                st.sampled_from(
                    [b"%2F", b"%2e%2e", b"?", b"#", b"/_lambent/health", b"http://h/", b"*", b" ", b"\x00"]
                ),
                BYTES,
            ),
            max_size=6,
        ),
    ),
)
METHODS = st.one_of(
    st.sampled_from([b"GET", b"POST", b"PUT", b"DELETE", b"HEAD", b"OPTIONS", b"PATCH", b"TRACE", b"CONNECT", b"PRI"]),
    TOKENS,
    BYTES,
)
KNOWN_NAMES = (
    b"content-length transfer-encoding host authorization x-amz-target expect connection upgrade x-amz-date cookie te "
    b"x-amz-invocation-type x-amz-log-type x-amzn-requestid x-amz-client-context content-encoding trailer"
).split()
ODD_VALUES = b"0|-1|5||chunked|gzip, chunked|99999999999999999999|close|upgrade|h2c|100-continue|localhost|1, 2|0x5"
HEADERS = st.lists(
    st.one_of(
        st.tuples(TOKENS, VALUE_BYTES),
        st.tuples(st.sampled_from(KNOWN_NAMES), st.one_of(VALUE_BYTES, st.sampled_from(ODD_VALUES.split(b"|")))),
    ),
    max_size=5,
)


def message(method: bytes, path: bytes, headers: list[tuple[bytes, bytes]], body: bytes, service: bytes) -> bytes:
    given = {b"host": b"localhost", b"authorization": AUTHORIZATION % service}
    lines = [name + b": " + value for name, value in [*given.items(), *headers]]
    return b"%b %b HTTP/1.1\r\n%b\r\n\r\n%b" % (method, path, b"\r\n".join(lines), body)


@MANY
@given(request=st.binary(max_size=2000))
def test_random_bytes(port: int, request: bytes) -> None:
    check(port, request)


@MANY
@given(method=METHODS, path=PATHS, headers=HEADERS, body=BYTES, length=st.booleans())
def test_wrong_methods_paths_and_headers(
    port: int, method: bytes, path: bytes, headers: list[tuple[bytes, bytes]], body: bytes, length: bool
) -> None:
    if length:
        headers = [*headers, (b"content-length", b"%d" % len(body))]
    check(port, message(method, path, headers, body, b"lambda"))


@MANY
@given(operation=st.sampled_from(sorted(MEMBERS)), document=st.data(), query=BYTES)
def test_wrong_json_types(port: int, operation: str, document: st.DataObject, query: bytes) -> None:
    method, path = MEMBERS[operation]
    shape = service_model("lambda").operation_model(operation).input_shape
    members = st.dictionaries(st.sampled_from(sorted(shape.members)), JSON, max_size=6)
    body = orjson.dumps(document.draw(st.one_of(members, JSON)), option=orjson.OPT_NON_STR_KEYS)
    headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
    check(port, message(method.encode(), path.encode(), headers, body, b"lambda"))


@MANY
@given(operation=st.sampled_from(sorted(service_model("logs").operation_names)), document=st.data())
def test_wrong_json_types_by_target(port: int, operation: str, document: st.DataObject) -> None:
    model = service_model("logs").operation_model(operation)
    if model.has_event_stream_output:
        return
    shape = model.input_shape
    members = st.dictionaries(st.sampled_from(sorted(shape.members if shape else ()) or ["x"]), JSON, max_size=6)
    body = orjson.dumps(document.draw(st.one_of(members, JSON)))
    headers = [(b"x-amz-target", b"Logs_20140328." + operation.encode()), (b"content-length", b"%d" % len(body))]
    check(port, message(b"POST", b"/", headers, body, b"logs"))


CHUNKS = (
    b"5\r\nhello\r\n|0\r\n\r\n|0\r\n|ffffffffffffffff\r\n|-1\r\n|5;ext=1\r\nhello\r\n|3\r\nhello\r\n|\r\n|zz\r\n"
    b"|0\r\nTrailer: x\r\n\r\n|0\r\nt: LONG"
).split(b"|")


@MANY
@given(pieces=st.lists(st.one_of(st.sampled_from(CHUNKS), BYTES), max_size=6))
def test_broken_chunks(port: int, pieces: list[bytes]) -> None:
    headers = [(b"transfer-encoding", b"chunked")]
    body = b"".join(pieces).replace(b"LONG", b"y" * 90_000)
    check(port, message(b"POST", b"/2015-03-31/functions", headers, body, b"lambda"))


NO_JSON = [
    b"[" * 5000,
    b'{"a":' * 5000,
    b'{"FunctionName":"\\ud800"}',
    b'{"Timeout":1e999}',
    b"\xef\xbb\xbf{}",
    b'{"Code":{"ZipFile":"!!"}}',
    b'{"Code":{"ZipFile":"YQ"}}',
    b"null",
    b'"',
    b"{}}",
    b'{"Timeout":NaN}',
]


@MANY
@given(body=st.one_of(st.binary(max_size=60), st.sampled_from(NO_JSON)))
def test_bodies_that_are_no_json(port: int, body: bytes) -> None:
    headers = [(b"content-length", b"%d" % len(body))]
    check(port, message(b"POST", b"/2015-03-31/functions", headers, body, b"lambda"))


FIELDS = st.tuples(st.sampled_from([b"Credential", b"X"]), VALUE_BYTES, VALUE_BYTES)
AUTHORIZATIONS = st.one_of(VALUE_BYTES, FIELDS.map(lambda fields: b"AWS4-HMAC-SHA256 %b=%b, %b" % fields))
QUERIES = [b"", b"?X-Amz-Credential=", b"?X-Amz-Credential=a/b/c/d/aws4_request&X-Amz-Algorithm=x"]


@MANY
@given(authorization=AUTHORIZATIONS, query=st.sampled_from(QUERIES))
def test_broken_credentials(port: int, authorization: bytes, query: bytes) -> None:
    head = b"GET /2015-03-31/functions" + query + b" HTTP/1.1\r\nhost: localhost\r\n"
    check(port, head + (b"authorization: " + authorization + b"\r\n" if authorization else b"") + b"\r\n")


@pytest.mark.parametrize("headers", [1, 100, 5000])
def test_huge_headers(port: int, headers: int) -> None:
    lines = [(b"x-%d" % index, b"y" * (200_000 // headers)) for index in range(headers)]
    check(port, message(b"GET", b"/2015-03-31/functions", lines, b"", b"lambda"))
