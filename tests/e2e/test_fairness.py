"""A server with few environments under a flood of one slow function: others do not notice, nobody is forgotten."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from lambent.testing.running_server import Server
from tests.e2e.packages import create_function

SLOW = "import time\n\ndef handler(event, context):\n    time.sleep(60)\n"
CALLS = 1200
WAITING = 500
"""Half of the places in the line."""
ENVIRONMENTS = 4
PATIENCE_S = 30.0


async def call(server: Server, name: str, client: int = 1) -> dict[str, Any]:
    """The status, the headers and the JSON of one invocation on a connection of its own."""
    address = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port, local_addr=(f"127.0.0.{client}", 0))
    try:
        writer.write(
            f"POST /2015-03-31/functions/{name}/invocations HTTP/1.1\r\nHost: {address.netloc}\r\n"
            "Authorization: AWS4-HMAC-SHA256 Credential=test/20261121/us-east-1/lambda/aws4_request, "
            "SignedHeaders=host, Signature=00\r\nContent-Length: 2\r\n\r\n{}".encode()
        )
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in head[1:] if line)
        body = await reader.readexactly(int(headers["content-length"]))
        return {"status": int(head[0].split()[1]), "headers": headers, "body": json.loads(body)}
    finally:
        writer.close()


@contextlib.asynccontextmanager
async def flood(server: Server, name: str) -> AsyncIterator[list[asyncio.Task[dict[str, Any]]]]:
    """Calls that nobody ends, until those for whom there is no place in the line have been told so."""
    calls = [asyncio.create_task(call(server, name, 2 + number % 8)) for number in range(CALLS)]
    try:
        async with asyncio.timeout(PATIENCE_S):
            while sum(each.done() for each in calls) < CALLS - WAITING - ENVIRONMENTS:
                await asyncio.wait([each for each in calls if not each.done()], return_when=asyncio.FIRST_COMPLETED)
        yield calls
    finally:
        for each in calls:
            each.cancel()
        await asyncio.gather(*calls, return_exceptions=True)


@pytest.fixture
def server(start_server: Callable[..., Server]) -> Server:
    return start_server("--max-environments", str(ENVIRONMENTS))


async def test_a_flood_of_one_function_leaves_others_alone(server: Server) -> None:
    client = server.client("lambda")
    create_function(client, "slow", SLOW, Timeout=90)
    create_function(client, "quick")
    async with flood(server, "slow") as calls:
        # With no patience at all: one refusal would fail the test.
        for number in range(10):
            answer = await call(server, "quick")
            assert (answer["status"], answer["body"]) == (200, {}), number
        refused = [each.result() for each in calls if each.done()]
        assert Counter(each["status"] for each in refused) == {429: len(refused)}
        assert refused[0]["headers"]["retry-after"] == "1"
        assert refused[0]["headers"]["x-amzn-errortype"] == "toomanyrequestsexception"
        assert refused[0]["body"] == {
            "Reason": "ConcurrentInvocationLimitExceeded",
            "Type": "User",
            "message": "Rate Exceeded.",
        }
        async with asyncio.timeout(PATIENCE_S):
            while sum(not each.done() for each in calls) > ENVIRONMENTS - 1:
                await asyncio.wait([each for each in calls if not each.done()], return_when=asyncio.FIRST_COMPLETED)
        lines = (await asyncio.to_thread(lambda: urlopen(f"{server.url}/_lambent/metrics").read())).decode()
        assert f'lambent_cloudwatch_sum_total{{metric="Throttles"}} {CALLS - ENVIRONMENTS + 1}' in lines
        assert 'lambent_cloudwatch_sum_total{metric="Invocations"} 10' in lines


def test_a_reservation_has_a_rate_and_zero_switches_the_function_off(server: Server) -> None:
    client = server.client("lambda")
    create_function(client, "few")
    client.put_function_concurrency(FunctionName="few", ReservedConcurrentExecutions=1)
    outcomes: Counter[str] = Counter()
    for _ in range(200):
        try:
            client.invoke(FunctionName="few")
        except client.exceptions.TooManyRequestsException as refused:
            outcomes[refused.response["Reason"]] += 1
            if outcomes["ReservedFunctionInvocationRateLimitExceeded"]:
                break
    assert outcomes["ReservedFunctionInvocationRateLimitExceeded"] == 1
    client.put_function_concurrency(FunctionName="few", ReservedConcurrentExecutions=0)
    with pytest.raises(client.exceptions.TooManyRequestsException) as off:
        client.invoke(FunctionName="few")
    assert off.value.response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert off.value.response["Error"] == {"Code": "TooManyRequestsException", "Message": "Rate Exceeded."}
    assert off.value.response["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "1"
