"""The direct way of Invoke and the way through ASGI are one: the same bytes for the same request, whatever it is."""

import asyncio
import re
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lambent.aws.errors import ApiError, PlatformFault
from lambent.aws.service import RESPONSE_HEADERS, CallContext, Parameters, Promised, Result, Service
from lambent.gateway.app import Front, Gateway
from lambent.gateway.direct import DirectWay
from lambent.testing.served import exchange, served

MADE = re.compile(rb"(date|x-amzn-RequestId): [^\r]*\r\n")
"""What differs between two replies to one request."""


def seen(context: CallContext, parameters: Parameters) -> Result:
    """A reply that tells what the handler got."""
    told = (context.account, context.region, context.identity, context.base_url, context.trace_header)
    return {
        "StatusCode": 200,
        "ExecutedVersion": "$LATEST",
        "Payload": repr((told, sorted(parameters.items()))).encode(),
        RESPONSE_HEADERS: {"X-Amzn-Trace-Id": "Root=1"},
    }


def invoke(context: CallContext, parameters: Parameters) -> "asyncio.Future[Result] | Promised[Result]":
    """Refuses, fails or answers, at once or later, as the function's name says."""
    name = parameters["FunctionName"]
    future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
    if "refuse" in name:
        raise ApiError("TooManyRequestsException", "Rate exceeded", status=429)
    if "bug" in name:
        raise PlatformFault("a bug")
    if "late" in name:
        future.set_exception(ApiError("InvalidRequestContentException", "no", status=400))
    else:
        future.set_result(seen(context, parameters))
    return Promised(future, dict) if "promised" in name else future


class Both:
    """Two listeners of one gateway, of which the second has no direct way."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ports: tuple[int, int], front: Front) -> None:
        self.loop = loop
        self.ports = ports
        self.front = front

    def answers(self, request: bytes) -> list[bytes]:
        return [self.loop.run_until_complete(self._answer(port, request)) for port in self.ports]

    async def _answer(self, port: int, request: bytes) -> bytes:
        return MADE.sub(rb"\1\r\n", await exchange(port, request))

    def answers_in_turn(self, requests: Sequence[bytes]) -> list[list[bytes]]:
        """To requests on one connection, each sent when the one before it was answered."""
        return [self.loop.run_until_complete(self._in_turn(port, requests)) for port in self.ports]

    async def _in_turn(self, port: int, requests: Sequence[bytes]) -> list[bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        answers = []
        async with asyncio.timeout(10):
            for request in requests:
                writer.write(request)
                if b"Separately" in request:
                    for _ in range(5):  # Turns of the loop, in which the server reads what is there.
                        await asyncio.sleep(0)
                    writer.write(b"1" * 100_001)
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: ([0-9]+)", head, re.IGNORECASE)
                assert length is not None
                answers.append(MADE.sub(rb"\1\r\n", head) + await reader.readexactly(int(length[1])))
            writer.close()
            await writer.wait_closed()
        return answers


@pytest.fixture(scope="module")
def both() -> Iterator[Both]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        stack = AsyncExitStack()

        async def open_both() -> Both:
            gateway = Gateway({"lambda": Service("lambda", {"Invoke": invoke})})
            direct, indirect = gateway.public(), gateway.public()
            assert direct.direct is not None
            indirect.direct = None
            ports = await stack.enter_async_context(served(direct)), await stack.enter_async_context(served(indirect))
            return Both(runner.get_loop(), ports, direct)

        yield runner.run(open_both())
        runner.run(stack.aclose())


NAMES = st.sampled_from(["hello", "promised", "refuse", "bug", "late", "late-promised", "a.b", "%zz", "", "f%3A7",
                         "arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Ahello"])  # fmt: skip
TARGETS = st.builds("/2015-03-31/functions/{}/invocations{}".format, NAMES,
                    st.sampled_from(["", "", "?Qualifier=7", "?Qualifier=%24LATEST", "?x=1", "/", "#x", "?",
                                     "?Qualifier=1#2", "?X-Amz-Credential=a"]))  # fmt: skip
SCOPE = "AWS4-HMAC-SHA256 Credential={}, SignedHeaders=host, Signature=00"
AUTHORIZATIONS = st.sampled_from([
    SCOPE.format("123456789012/20261120/eu-west-1/lambda/aws4_request"),
    SCOPE.format("AKIDEXAMPLE/20261120/us-east-1/lambda/aws4_request"),
    SCOPE.format("123456789012/20261120/us-east-1/sts/aws4_request"),
    SCOPE.format("123456789012/20261120/us-east-1/lambda"),
    "Bearer abc", "",
])  # fmt: skip
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "Host": st.sampled_from(["localhost", "127.0.0.1:80", "evil.example", "x.lambda-url.us-east-1.localhost", ""]),
        "Authorization": AUTHORIZATIONS,
        "X-Amz-Invocation-Type": st.sampled_from(["RequestResponse", "Event", "event"]),
        "X-Amz-Log-Type": st.sampled_from(["Tail", "tail"]),
        "X-Amzn-RequestId": st.sampled_from(["6F7C9A36-1F0C-4E0E-8C23-3F2C5B6E7D8A", "no-uuid", " "]),
        "X-Amzn-Trace-Id": st.just("Root=1-2-3"),
        "X-Amz-Target": st.sampled_from(["Logs_20140328.ListTagsLogGroup", "x"]),
        "Origin": st.sampled_from(["http://localhost", "http://evil.example"]),
        "Sec-Fetch-Site": st.sampled_from(["same-origin", "cross-site"]),
        "Expect": st.sampled_from(["100-continue", "x"]),
        "Upgrade": st.just("h2c"),
        "X-Other": st.sampled_from(["ü", "a,b", "a ", "\tb", "a\tb", "", ": ", "\x01", "\x7f"]),
        "content-length": st.sampled_from(["2", "0", "x", "+1", "1, 1"]),
        "x-amz-Log-Type ": st.just("Tail"),
    },
)
BODIES = st.one_of(st.just(b"{}"), st.binary(max_size=9), st.sampled_from([b"x" * 65_536, b"x" * 65_537]))


@settings(max_examples=300, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["POST", "POST", "POST", "GET", "HEAD"]),
    target=TARGETS,
    headers=HEADERS,
    usual=st.booleans(),
    body=BODIES,
    chunked=st.booleans(),
    version=st.sampled_from(["1.1", "1.1", "1.0"]),
    twice=st.booleans(),
)
def test_both_ways_answer_with_the_same_bytes(
    both: Both,
    method: str,
    target: str,
    headers: dict[str, str],
    usual: bool,
    body: bytes,
    chunked: bool,
    version: str,
    twice: bool,
) -> None:
    if usual:
        credential = "123456789012/20261120/eu-west-1/lambda/aws4_request"
        headers = {**headers, "Host": "localhost", "Authorization": SCOPE.format(credential)}
    if chunked:
        framing, body = (
            "Transfer-Encoding: chunked",
            b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n",
        )
    else:
        framing = f"Content-Length: {len(body)}"
    lines = [f"{method} {target} HTTP/{version}", framing, *(f"{name}: {value}" for name, value in headers.items())]
    request = "\r\n".join([*lines, "", ""]).encode() + body
    direct, indirect = both.answers(request * 2 if twice else request)
    assert direct == indirect


def usual(name: str = "hello", body: bytes = b"{}", *more: str, key: str = "123456789012") -> bytes:
    scope = SCOPE.format(f"{key}/20261120/eu-west-1/lambda/aws4_request")
    lines = [
        f"POST /2015-03-31/functions/{name}/invocations HTTP/1.1",
        "Host: localhost",
        f"Content-Length: {len(body)}",
        f"Authorization: {scope}",
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def announced() -> bytes:
    """A head whose body, which is too long for the direct way, comes after it: that one is read without the other."""
    return usual("hello", b"", "Separately: yes").replace(b"Content-Length: 0", b"Content-Length: 100001")


TURNS = st.sampled_from([
    announced(),
    usual(), usual(body=b"[]"), usual(body=b"[1]"), usual("promised"), usual("refuse"), usual(key="210987654321"),
    usual("hello", b"", "X-Amz-Log-Type: Tail"), usual("hello", b"{}", "X-Amz-Log-Type: Tail"), usual("late"),
    usual("hello", b"{}", "x-amz-log-type: Tail", "X-Amz-Log-Type: Tail"), usual("hello", b"{}", "X-Other: a\tb"),
])  # fmt: skip


@settings(max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(requests=st.lists(TURNS, min_size=2, max_size=6))
def test_what_is_kept_of_a_head_never_answers_for_another(both: Both, requests: list[bytes]) -> None:
    direct, indirect = both.answers_in_turn(requests)
    assert direct == indirect


def test_what_clients_usually_send_takes_the_direct_way(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[bool] = []
    take = DirectWay.take

    def watched(*arguments: object) -> object:
        found = take(*arguments)  # type: ignore[arg-type]
        taken.append(found is not None)
        return found

    monkeypatch.setattr(DirectWay, "take", watched)
    both.answers(usual())
    assert taken == [True]


def test_a_head_that_came_before_is_not_read_again(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[object] = []
    read = DirectWay.read

    def watched(*arguments: object) -> object:
        reads.append(arguments[1])
        return read(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(DirectWay, "read", watched)
    direct, indirect = both.answers_in_turn([usual(), usual(body=b"[]"), usual(body=b"[1]")])
    assert direct == indirect
    assert len(reads) == 2
