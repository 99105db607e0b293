"""Function URLs over a real socket, through the gateway to functions on scripted runtimes."""

import asyncio
import http.client
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from sqlalchemy import Connection

from lambent.aws.keys import KnownKey, Secret
from lambent.aws.service import Service
from lambent.core.clock import SystemClock
from lambent.functions import store
from lambent.functions.changes import Change
from lambent.functions.control_plane import ControlPlane
from lambent.functions.quotas import Quotas
from lambent.functions.records import Alias, Attachment, FunctionKey, Policy, ReservedConcurrency
from lambent.functions.url_access import UrlPolicies
from lambent.gateway.app import Gateway
from lambent.gateway.authenticate import CheckedWhereKnown, Unchecked
from lambent.gateway.function_urls import UrlRoute
from lambent.gateway.keys import KnownKeys
from lambent.invocation.api import Invocation
from lambent.invocation.event_queue import EventQueue
from lambent.invocation.function_url import FunctionUrls
from lambent.invocation.metrics import Metrics
from lambent.store.database import Database
from lambent.store.datadir import DataDir
from lambent.testing.aws_client import AsyncClient, client_of
from lambent.testing.runtime_support import FakeRuntimeSupport
from lambent.testing.scripted_caller import ScriptedCaller
from lambent.testing.scripted_runtime import Echo, Exit, Fail, Next, Respond, Script
from lambent.testing.served import served
from tests.unit.environments.kit import Machine
from tests.unit.functions.conftest import creation

ACCOUNT = "123456789012"
KEY = FunctionKey(ACCOUNT, "us-east-1", "f")
FORBIDDEN = {
    "Message": "Forbidden. For troubleshooting Function URL authorization issues, see: "
    "https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"
}
ORIGIN = "https://app.example"


def statement(action: str, principal: Any, arn: str, **condition: Any) -> dict[str, Any]:
    return {
        "Sid": action.partition(":")[2],
        "Effect": "Allow",
        "Principal": principal,
        "Action": action,
        "Resource": arn,
        "Condition": condition,
    }


def both(auth_type: str = "NONE", principal: Any = "*", arn: str = KEY.arn) -> list[dict[str, Any]]:
    """The two statements that a URL needs."""
    return [
        statement("lambda:InvokeFunctionUrl", principal, arn, StringEquals={"lambda:FunctionUrlAuthType": auth_type}),
        statement("lambda:InvokeFunction", principal, arn, Bool={"lambda:InvokedViaFunctionUrl": "true"}),
    ]


@dataclass(frozen=True)
class Reply:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name), None)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Urls:
    """A server with one function `f`; `send` speaks to its URL."""

    def __init__(
        self,
        plane: ControlPlane,
        client: AsyncClient,
        machine: Machine,
        port: int,
        gateway: Gateway,
        metrics: Metrics,
    ) -> None:
        self.metrics = metrics
        self.plane = plane
        self.client = client
        self.machine = machine
        self.port = port
        self.gateway = gateway

    async def attach(self, record: Attachment, qualifier: str = "") -> None:
        def commit(connection: Connection) -> Change:
            store.put_attachment(connection, KEY, qualifier, record)
            return Change(key=KEY, attached={(type(record), qualifier): record})

        await self.plane._changes.commit(commit)

    async def detach(self, kind: type[Attachment], qualifier: str = "") -> None:
        def commit(connection: Connection) -> Change:
            store.remove_attachment(connection, KEY, kind, qualifier)
            return Change(key=KEY, attached={(kind, qualifier): None})

        await self.plane._changes.commit(commit)

    async def allow(self, statements: list[dict[str, Any]], qualifier: str = "") -> None:
        document = {"Version": "2012-10-17", "Id": "default", "Statement": statements}
        await self.attach(Policy(json.dumps(document)), qualifier)

    async def url(self, auth_type: str = "NONE", *, public: bool = True, **parameters: Any) -> str:
        """The host of a new URL."""
        reply = await self.client.create_function_url_config(FunctionName="f", AuthType=auth_type, **parameters)
        if public:
            await self.allow(both(auth_type))
        match = re.fullmatch(r"http://([^/]+)/", reply["FunctionUrl"])
        assert match is not None
        return match[1]

    async def send(
        self, host: str, method: str = "GET", path: str = "/", body: bytes | None = None, **headers: str
    ) -> Reply:
        sent = {"host": host} | {name.replace("_", "-"): value for name, value in headers.items()}
        return await asyncio.to_thread(self._send, method, path, body, sent)

    def _send(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return Reply(response.status, response.getheaders(), response.read())
        finally:
            connection.close()

    async def send_signed(
        self,
        host: str,
        method: str = "GET",
        *,
        account: str = ACCOUNT,
        secret: str = "secret",
        token: str | None = None,
        region: str = "us-east-1",
        body: bytes = b"",
    ) -> Reply:
        request = AWSRequest(method, f"http://{host}/", data=body, headers={"host": host})
        SigV4Auth(Credentials(account, secret, token), "lambda", region).add_auth(request)
        headers = {name.lower(): str(value) for name, value in request.headers.items()}
        return await asyncio.to_thread(self._send, method, "/", body or None, headers)


@asynccontextmanager
async def serving(root: Path, script: Script, quotas: Quotas | None = None) -> AsyncIterator[Urls]:
    data_dir = DataDir.open(root / "data")
    database = Database.open(data_dir.database)
    support, clock = FakeRuntimeSupport(), SystemClock()
    metrics = Metrics(clock)
    async with Machine((script,)) as machine:
        plane = ControlPlane(
            data_dir=data_dir, database=database, clock=clock, runtime_support=support, observers=[machine.pool]
        )
        machine.concurrency._reservations = plane.read_model
        plane.start()
        urls = FunctionUrls(
            functions=plane.read_model,
            resolver=plane.resolver,
            router=machine.router,
            access=UrlPolicies(plane.authorizer),
            clock=clock,
            metrics=metrics,
            quotas=quotas or Quotas(),
        )
        keys = KnownKeys(clock)
        events = EventQueue(
            database=database,
            clock=clock,
            functions=plane.read_model,
            resolver=plane.resolver,
            router=machine.router,
            caller=ScriptedCaller(),
            budget=1,
        )
        invocation = Invocation(
            resolver=plane.resolver, router=machine.router, clock=clock, events=events, quotas=quotas
        )
        gateway = Gateway(
            {"lambda": Service("lambda", {**plane.operations(), **invocation.operations()})},
            keys=keys,
            urls=UrlRoute(urls, CheckedWhereKnown(keys, clock)),
        )
        app = gateway.public()
        client = AsyncClient(client_of(app, "lambda", account=ACCOUNT))
        await client.create_function(**creation("f"), Timeout=60)
        await client.wait("function_active_v2", FunctionName="f")
        async with served(app) as port:
            yield Urls(plane, client, machine, port, gateway, metrics)
        support.release()
        await plane.close()
        await database.close()
        data_dir.close()


@pytest.fixture
async def urls(tmp_path: Path) -> AsyncIterator[Urls]:
    """The function answers each event with itself."""
    async with serving(tmp_path, (Echo(),)) as urls:
        yield urls


async def test_a_request_reaches_the_function_as_an_event(urls: Urls) -> None:
    host = await urls.url()
    reply = await urls.send(
        host, "POST", "/pa2%Fth/1?a=1&a=2", b'{"x":1}', content_type="application/json", cookie="a=b; c=d"
    )
    assert (reply.status, reply.header("content-type")) == (200, "application/json")
    event = reply.json
    assert (event["rawPath"], event["rawQueryString"]) == ("/pa2%Fth/1", "a=1&a=2")
    assert event["queryStringParameters"] == {"a": "1,2"}
    assert (event["body"], event["isBase64Encoded"]) == ('{"x":1}', False)
    assert event["cookies"] == ["a=b", "c=d"]
    context = event["requestContext"]
    assert context["domainName"] == host.partition(":")[0]
    assert context["apiId"] == context["domainPrefix"] == host.partition(".")[0]
    assert context["requestId"] == reply.header("x-amzn-requestid")
    assert context["http"]["sourceIp"] == "127.0.0.1"
    assert reply.header(
        "x-amzn-trace-id",
    ).startswith(event["headers"]["x-amzn-trace-id"])  # type: ignore[union-attr]
    start = next(line for line in urls.machine.log.lines if line.startswith("START"))
    assert start == f"START RequestId: {context['requestId']} Version: $LATEST\n"


async def test_the_path_form_needs_no_name(urls: Urls) -> None:
    url_id = (await urls.url()).partition(".")[0]
    for path, raw in ((f"/_lambda-url/{url_id}/a/b?q=1", "/a/b"), (f"/_lambda-url/{url_id}", "/")):
        event = (await urls.send(f"127.0.0.1:{urls.port}", path=path)).json
        assert event["rawPath"] == raw
        assert event["requestContext"]["domainName"] == f"{url_id}.lambda-url.us-east-1.localhost"


async def test_a_page_below_the_servers_own_host_gets_an_origin_of_its_own(urls: Urls) -> None:
    host = await urls.url()
    assert (await urls.send(host)).header("content-security-policy") is None
    reply = await urls.send(f"127.0.0.1:{urls.port}", path=f"/_lambda-url/{host.partition('.')[0]}/")
    policy = reply.header("content-security-policy")
    assert policy is not None
    assert policy.startswith("sandbox")
    assert "allow-same-origin" not in policy


async def test_head_has_the_head_of_get(urls: Urls) -> None:
    host = await urls.url()
    reply = await urls.send(host, "HEAD")
    assert (reply.status, reply.body) == (200, b"")
    assert int(reply.header("content-length") or 0) > 500


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_any_method_is_passed_on(urls: Urls, method: str) -> None:
    host = await urls.url()
    assert (await urls.send(host, method)).json["requestContext"]["http"]["method"] == method


async def test_a_public_url_needs_both_statements(urls: Urls) -> None:
    host = await urls.url(public=False)

    async def reply() -> Reply:
        return await urls.send(host)

    assert (await reply()).json == FORBIDDEN

    for statements in (
        [both()[0]],
        [both()[1]],
        both("AWS_IAM"),
        both(arn=KEY.arn + ":live"),
        both(principal={"AWS": ACCOUNT}),
    ):
        await urls.allow(statements)
        refused = await reply()
        assert (refused.status, refused.json) == (403, FORBIDDEN), statements
        assert refused.header("x-amzn-errortype") == "AccessDeniedException"
    assert not urls.machine.driver.sandboxes
    await urls.allow(both())
    assert (await reply()).status == 200
    await urls.allow([*both(), both()[0] | {"Sid": "no", "Effect": "Deny"}])
    assert (await reply()).status == 403


@pytest.mark.parametrize(
    "host",
    [
        f"{'a' * 32}.lambda-url.us-east-1.localhost",
        "x.lambda-url.us-east-1.localhost",
    ],
)
async def test_an_unknown_url_is_forbidden_without_a_word(urls: Urls, host: str) -> None:
    reply = await urls.send(host)
    assert (reply.status, reply.json) == (403, {"Message": None})
    assert reply.header("x-amzn-errortype") == "AccessDeniedException"


async def test_a_url_is_not_reached_under_another_region_or_an_unknown_host(urls: Urls) -> None:
    host = await urls.url()
    assert (await urls.send(host.replace("us-east-1", "eu-west-1"))).json == {"Message": None}
    foreign = await urls.send(host.replace("localhost", "evil.example"))
    assert foreign.status == 403
    assert "is not served here" in foreign.body.decode()


async def test_the_url_of_a_deleted_alias_is_forbidden(urls: Urls) -> None:
    """As AWS was seen to answer."""
    await urls.attach(Alias(name="live", version="$LATEST", revision_id="r"), "live")
    host = await urls.url(Qualifier="live", public=False)
    await urls.allow(both(arn=KEY.arn + ":live"), "live")
    await urls.detach(Alias, "live")
    reply = await urls.send(host)
    assert (reply.status, reply.json) == (403, FORBIDDEN)
    assert (await urls.client.get_function_url_config(FunctionName="f:live"))["AuthType"] == "NONE"


async def test_a_signed_url_is_called_by_its_account(urls: Urls) -> None:
    host = await urls.url("AWS_IAM", public=False)
    assert (await urls.send(host)).json == FORBIDDEN
    reply = await urls.send_signed(host, "POST", body=b"x")
    context = reply.json["requestContext"]
    assert context["accountId"] == ACCOUNT
    assert context["authorizer"]["iam"]["userArn"] == f"arn:aws:iam::{ACCOUNT}:root"
    assert "authorization" not in reply.json["headers"]
    assert (await urls.send_signed(host, region="eu-west-1")).json == FORBIDDEN


async def test_a_signed_url_is_called_by_another_account_with_both_statements(urls: Urls) -> None:
    host = await urls.url("AWS_IAM", public=False)
    assert (await urls.send_signed(host, account="999999999999")).json == FORBIDDEN
    await urls.allow(both("AWS_IAM", {"AWS": "arn:aws:iam::999999999999:root"}))
    reply = await urls.send_signed(host, account="999999999999")
    assert reply.json["requestContext"]["authorizer"]["iam"]["accountId"] == "999999999999"
    assert (await urls.send_signed(host, account="888888888888")).json == FORBIDDEN


async def test_a_key_whose_secret_is_known_must_have_signed(urls: Urls) -> None:
    host = await urls.url("AWS_IAM", public=False)
    arn = f"arn:aws:iam::{ACCOUNT}:user/ada"
    urls.gateway.keys.learn("AKIA1", KnownKey(ACCOUNT, arn, "AIDA1", secret=Secret("hers")))
    urls.gateway.keys.learn("ASIA1", KnownKey(ACCOUNT, arn, "AIDA1", secret=Secret("for a time", "token")))
    reply = await urls.send_signed(host, "POST", account="AKIA1", secret="hers", body=b"x")
    assert reply.json["requestContext"]["authorizer"]["iam"]["userArn"] == arn
    assert (await urls.send_signed(host, account="ASIA1", secret="for a time", token="token")).status == 200
    for key, secret, token, code in (
        ("AKIA1", "guessed", None, "InvalidSignatureException"),
        ("AKIA1", "hers", "token", "UnrecognizedClientException"),
        ("ASIA1", "for a time", None, "UnrecognizedClientException"),
        ("ASIA1", "for a time", "guessed", "UnrecognizedClientException"),
        ("ASIA1", "guessed", "token", "InvalidSignatureException"),
    ):
        reply = await urls.send_signed(host, account=key, secret=secret, token=token)
        assert (reply.status, reply.header("x-amzn-errortype")) == (403, code)


async def test_a_signature_that_is_none_is_refused(urls: Urls) -> None:
    host = await urls.url("AWS_IAM")
    scope = f"Credential={ACCOUNT}/20261120/us-east-1/lambda/aws4_request"
    for nonsense in ("nonsense", scope, f"{scope}, SignedHeaders=host, Signature="):
        reply = await urls.send(host, authorization=f"AWS4-HMAC-SHA256 {nonsense}", x_amz_date="20261120T000000Z")
        assert (reply.status, reply.header("x-amzn-errortype")) == (403, "IncompleteSignatureException")
    assert not urls.machine.driver.sandboxes


async def test_cors_is_answered_by_the_platform(urls: Urls) -> None:
    host = await urls.url(Cors={"AllowOrigins": [ORIGIN], "AllowMethods": ["PUT"], "MaxAge": 5}, public=False)
    preflight = await urls.send(host, "OPTIONS", origin=ORIGIN, access_control_request_method="PUT")
    assert (preflight.status, preflight.body) == (200, b"")
    assert preflight.header("access-control-allow-origin") == ORIGIN
    assert preflight.header("access-control-allow-methods") == "PUT"
    assert preflight.header("access-control-max-age") == "5"
    assert not urls.machine.driver.sandboxes
    await urls.allow(both())
    assert (await urls.send(host, origin=ORIGIN)).header("access-control-allow-origin") == ORIGIN
    other = await urls.send(host, origin="https://other.example")
    assert (other.status, other.header("access-control-allow-origin")) == (200, None)


async def test_without_cors_a_preflight_is_the_functions_business(urls: Urls) -> None:
    host = await urls.url()
    reply = await urls.send(host, "OPTIONS", origin=ORIGIN, access_control_request_method="PUT")
    assert reply.json["requestContext"]["http"]["method"] == "OPTIONS"
    assert reply.header("access-control-allow-origin") is None


async def test_a_throttled_function_answers_429(urls: Urls) -> None:
    host = await urls.url()
    await urls.attach(ReservedConcurrency(0))
    reply = await urls.send(host)
    assert reply.status == 429
    assert reply.json["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert reply.header("x-amzn-errortype") == "TooManyRequestsException"
    assert reply.header("retry-after") == "1"


async def test_bodies_up_to_six_megabytes(urls: Urls) -> None:
    host = await urls.url()
    text = {"content_type": "text/plain"}
    large = await urls.send(host, "POST", body=b"x" * 6_000_000, **text)
    assert (large.status, len(large.json["body"])) == (200, 6_000_000)
    # In base64 it counts as it is handed over.
    for body, headers in ((b"x" * 6_291_457, text), (b"x" * 5_000_000, {})):
        reply = await urls.send(host, "POST", body=body, **headers)
        assert reply.status == 413
        assert reply.json == {"Message": "Request must be smaller than 6291456 bytes for the InvokeFunction operation"}


@pytest.mark.parametrize(
    "script",
    [
        (Next(), Fail(), Next()),
        (Next(), Exit(1)),
        (Next(), Respond(b'{"statusCode":"x"}'), Next()),
        (Next(), Respond(b'"' + b"x" * 6_291_560 + b'"'), Next()),
    ],
    ids=["error", "exit", "malformed", "too large"],
)
async def test_a_failure_of_the_function_is_a_bad_gateway(tmp_path: Path, script: Script) -> None:
    async with serving(tmp_path, script) as urls:
        reply = await urls.send(await urls.url())
        assert (reply.status, reply.body) == (502, b"Internal Server Error")
        assert reply.header("content-type") == "text/plain"


async def test_a_response_of_the_function_is_the_reply(tmp_path: Path) -> None:
    result = {
        "statusCode": 201,
        "headers": {"Content-Type": "image/png", "x-break": "a\r\nb: c"},
        "cookies": ["a=1", "b=2; HttpOnly"],
        "body": "AP8=",
        "isBase64Encoded": True,
    }
    async with serving(tmp_path, (Next(), Respond(json.dumps(result).encode()), Next())) as urls:
        reply = await urls.send(await urls.url())
    assert (reply.status, reply.body, reply.header("content-type")) == (201, b"\x00\xff", "image/png")
    assert [value for name, value in reply.headers if name.lower() == "set-cookie"] == ["a=1", "b=2; HttpOnly"]
    assert (reply.header("x-break"), reply.header("b")) == ("a  b: c", None)


async def test_urls_are_served_on_after_an_update_and_gone_with_their_function(urls: Urls) -> None:
    host = await urls.url()
    assert (await urls.send(host)).status == 200
    await urls.client.delete_function(FunctionName="f")
    assert (await urls.send(host)).json == {"Message": None}


async def test_inside_a_sandbox_there_are_no_function_urls(urls: Urls) -> None:
    """Its listener speaks AWS APIs alone, to those who sign as its environment."""
    host = await urls.url()
    private = urls.gateway.private(Unchecked(urls.gateway.keys))
    async with served(private) as port:
        inside = Urls(urls.plane, urls.client, urls.machine, port, urls.gateway, urls.metrics)
        for name, path in ((host, "/"), ("localhost", f"/_lambda-url/{host.partition('.')[0]}/")):
            reply = await inside.send(name, path=path)
            assert reply.status == 403
            assert b"Missing Authentication Token" in reply.body
    assert not urls.machine.driver.sandboxes


async def test_each_request_to_a_url_is_counted_with_what_became_of_it(tmp_path: Path) -> None:
    async with serving(tmp_path, (Next(), Fail(), Echo())) as urls:
        host = await urls.url(Cors={"AllowOrigins": [ORIGIN]})
        statuses = [(await urls.send(host)).status, (await urls.send(host)).status]
        statuses.append((await urls.send(host, "OPTIONS", origin=ORIGIN, access_control_request_method="GET")).status)
        await urls.detach(Policy)
        statuses.append((await urls.send(host)).status)
        await urls.send(f"{'a' * 32}.lambda-url.us-east-1.localhost")
        assert statuses == [502, 200, 200, 403]
        counted = {
            name: statistics.sum if name.endswith("Count") else statistics.count
            for name, statistics in urls.metrics.totals().items()
        }
        assert counted == {"Url4xxCount": 1, "Url5xxCount": 1, "UrlRequestCount": 4, "UrlRequestLatency": 4}
