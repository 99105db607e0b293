"""The AWS endpoint inside a sandbox: the session of its own environment, verified, and nothing else."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from lambent.aws.keys import KnownKey, Secret
from lambent.aws.service import CallContext, Parameters, Result, Service
from lambent.core.clock import SystemClock
from lambent.environments.credentials import issue
from lambent.environments.ports import AwsEndpoint, SessionCredentials
from lambent.gateway.app import Gateway
from lambent.gateway.http import HttpRequest, HttpResponse
from lambent.gateway.sandbox_endpoint import LIMITS, SandboxEndpoint
from lambent.gateway.server import HttpServer
from lambent.testing.served import exchange, http_client

ROLE = "arn:aws:iam::210987654321:role/path/reader"


def session() -> SessionCredentials:
    return issue(account="210987654321", region="eu-west-1", role=ROLE, function_name="hello")


async def get_function(context: CallContext, parameters: Parameters) -> Result:
    return {"Configuration": {"FunctionName": context.account, "Role": context.identity.arn}}


async def health(request: HttpRequest) -> HttpResponse:
    return HttpResponse(200, (), b"ok")


def listening() -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    listener.setblocking(False)
    return listener


@pytest.fixture
def gateway() -> Gateway:
    services = {"lambda": Service("lambda", {"GetFunction": get_function})}
    return Gateway(services, routes={"/_lambent/health": health})


@pytest.fixture
async def endpoint(gateway: Gateway) -> AsyncIterator[AwsEndpoint]:
    server = HttpServer()
    yield SandboxEndpoint(gateway, server, SystemClock())
    await server.close(1)


def derived(gateway: Gateway, name: str, origin: str | None, **changes: Any) -> dict[str, str]:
    """A session as STS gives it out, to one whose chain of sessions began with `origin`."""
    arn = f"arn:aws:sts::222222222222:assumed-role/{name}/s1"
    key = KnownKey("222222222222", arn, f"AROA:{name}", secret=Secret(f"secret of {name}", f"token {name}"))
    gateway.keys.learn(f"ASIA{name}", replace(key, origin=origin, **changes))
    return {
        "aws_access_key_id": f"ASIA{name}",
        "aws_secret_access_key": f"secret of {name}",
        "aws_session_token": f"token {name}",
    }


def client_with(port: int, keys: SessionCredentials, **changes: str) -> Any:
    credentials = {
        "aws_access_key_id": keys.access_key_id,
        "aws_secret_access_key": keys.secret_access_key,
        "aws_session_token": keys.session_token,
        **changes,
    }
    return http_client("lambda", port, **credentials)


async def test_the_environments_own_session_is_its_role(endpoint: AwsEndpoint) -> None:
    listener, keys = listening(), session()
    port = listener.getsockname()[1]
    await endpoint.serve(listener, keys)
    reply = await asyncio.to_thread(client_with(port, keys).get_function, FunctionName="x")
    assert reply["Configuration"] == {
        "FunctionName": "210987654321",
        "Role": "arn:aws:sts::210987654321:assumed-role/reader/hello",
    }


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"aws_secret_access_key": "guessed"}, "InvalidSignatureException"),
        ({"aws_session_token": "guessed"}, "UnrecognizedClientException"),
        ({"aws_access_key_id": "ASIAGUESSED"}, "UnrecognizedClientException"),
        ({"aws_access_key_id": "123456789012"}, "UnrecognizedClientException"),
    ],
)
async def test_anyone_else_is_refused(endpoint: AwsEndpoint, changes: dict[str, str], code: str) -> None:
    listener, keys = listening(), session()
    port = listener.getsockname()[1]
    await endpoint.serve(listener, keys)
    client = client_with(port, keys, **changes)
    with pytest.raises(client.exceptions.ClientError) as raised:
        await asyncio.to_thread(client.get_function, FunctionName="x")
    assert raised.value.response["Error"]["Code"] == code
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


async def test_the_session_of_another_environment_is_refused(endpoint: AwsEndpoint) -> None:
    mine, other = listening(), listening()
    keys, others_keys = session(), session()
    port = mine.getsockname()[1]
    await endpoint.serve(mine, keys)
    await endpoint.serve(other, others_keys)
    client = client_with(port, others_keys)
    with pytest.raises(client.exceptions.ClientError, match="security token"):
        await asyncio.to_thread(client.get_function, FunctionName="x")


async def test_what_sts_gave_to_the_session_is_accepted_in_its_own_account(
    gateway: Gateway, endpoint: AwsEndpoint
) -> None:
    listener, keys = listening(), session()
    port = listener.getsockname()[1]
    await endpoint.serve(listener, keys)
    assumed = derived(gateway, "MINE", keys.access_key_id)
    reply = await asyncio.to_thread(client_with(port, keys, **assumed).get_function, FunctionName="x")
    arn = "arn:aws:sts::222222222222:assumed-role/MINE/s1"
    assert reply["Configuration"] == {"FunctionName": "222222222222", "Role": arn}


async def test_sessions_of_others_forged_ones_and_late_ones_are_refused(
    gateway: Gateway, endpoint: AwsEndpoint
) -> None:
    listener, keys, others_keys = listening(), session(), session()
    port = listener.getsockname()[1]
    await endpoint.serve(listener, keys)
    await endpoint.serve(listening(), others_keys)
    own = keys.access_key_id
    mine = derived(gateway, "MINE", own)
    past = SystemClock().now() - timedelta(seconds=1)
    for credentials, code in (
        (derived(gateway, "OTHERS", others_keys.access_key_id), "UnrecognizedClientException"),
        (derived(gateway, "USERS", "AKIAOFAUSER"), "UnrecognizedClientException"),
        (derived(gateway, "NOBODYS", None), "UnrecognizedClientException"),
        (derived(gateway, "SILENT", own, secret=None), "UnrecognizedClientException"),
        ({**mine, "aws_secret_access_key": "guessed"}, "InvalidSignatureException"),
        ({**mine, "aws_session_token": "guessed"}, "UnrecognizedClientException"),
        ({**mine, "aws_session_token": keys.session_token}, "UnrecognizedClientException"),
        (derived(gateway, "LATE", own, expires=past), "ExpiredTokenException"),
    ):
        client = client_with(port, keys, **credentials)
        with pytest.raises(client.exceptions.ClientError) as raised:
            await asyncio.to_thread(client.get_function, FunctionName="x")
        assert raised.value.response["Error"]["Code"] == code


async def test_there_are_no_paths_but_the_apis(endpoint: AwsEndpoint) -> None:
    listener = listening()
    port = listener.getsockname()[1]
    await endpoint.serve(listener, session())
    for path in (b"/_lambent/health", b"/_lambent/reset", b"/_lambent"):
        assert b" 404 " in await exchange(port, b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % path)
    assert b" 403 " in await exchange(port, b"GET /2015-03-31/functions HTTP/1.1\r\nHost: localhost\r\n\r\n")


async def test_addresses_without_number_do_not_give_connections_without_number(endpoint: AwsEndpoint) -> None:
    listener = listening()
    await endpoint.serve(listener, session())
    made = []
    for host in range(1, 5):
        for _ in range(100):
            try:
                address = (f"127.0.7.{host}", 0)
                made.append(await asyncio.open_connection(*listener.getsockname(), local_addr=address))
            except ConnectionResetError:
                continue
    await asyncio.sleep(0)
    ended = 0
    for reader, writer in made:
        # Those that were kept are silent; they have sent nothing either.
        with suppress(TimeoutError, ConnectionResetError):
            async with asyncio.timeout(0.001):
                await reader.read()
        ended += reader.at_eof() or reader.exception() is not None
        writer.close()
    assert len(made) - ended <= LIMITS.connections


async def test_an_environment_that_uploads_without_end_leaves_room_for_the_others(endpoint: AwsEndpoint) -> None:
    hostile, other = listening(), listening()
    theirs, mine = session(), session()
    await endpoint.serve(hostile, theirs)
    await endpoint.serve(other, mine)
    head = (
        "POST /2015-03-31/functions/x/invocations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6000000\r\n"
        f"Authorization: AWS4-HMAC-SHA256 Credential={theirs.access_key_id}/20261120/us-east-1/lambda/aws4_request, "
        "SignedHeaders=host, Signature=0\r\n\r\n"
    )
    held = []
    for _ in range(40):
        reader, writer = await asyncio.open_connection(*hostile.getsockname())
        writer.write(head.encode() + b"x")
        held.append((reader, writer))
    # The last ones are over what their environment may hold.
    assert b" 503 " in await asyncio.wait_for(held[-1][0].readline(), 5)
    client = client_with(other.getsockname()[1], mine)
    with pytest.raises(client.exceptions.ClientError, match="not built in Lambent"):
        await asyncio.to_thread(client.invoke, FunctionName="x", Payload=b"1" * 5_000_000)
    for _, writer in held:
        writer.close()


async def test_a_closed_endpoint_takes_no_connections(endpoint: AwsEndpoint) -> None:
    listener = listening()
    port = listener.getsockname()[1]
    closer = await endpoint.serve(listener, session())
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /")
    async with asyncio.timeout(5):
        closer.close()
        closer.close()
        try:
            assert await reader.read() == b""
        except ConnectionResetError:
            pass
    writer.close()
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_an_endpoint_costs_next_to_nothing(endpoint: AwsEndpoint) -> None:
    # Not a timed test: it prints what it measured, and fails only when it is wrong by orders of magnitude.
    listeners = [(listening(), session()) for _ in range(100)]
    start = time.perf_counter()
    closers = [await endpoint.serve(listener, keys) for listener, keys in listeners]
    for closer in closers:
        closer.close()
    each_ms = (time.perf_counter() - start) * 1000 / len(listeners)
    print(f"{each_ms:.3f} ms per endpoint")
    assert each_ms < 20
