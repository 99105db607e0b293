"""Why was this cold? Asked of a running server by its command and its metrics."""

import http.client
import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from lambent.testing.running_server import Server
from tests.e2e.census import census, eventually
from tests.e2e.packages import ECHO, create_function, wait_updated


def get(server: Server, path: str, **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_the_command_tells_why_an_invocation_was_cold_and_what_took_how_long(
    server: Server, lambda_client: Any
) -> None:
    create_function(lambda_client, "why-cold", ECHO)
    lambda_client.invoke(FunctionName="why-cold", Payload=b"1")
    lambda_client.invoke(FunctionName="why-cold", Payload=b"2")
    command = [sys.executable, "-m", "lambent", "function", "show", "why-cold", "--cold-starts", "--json"]
    finished = subprocess.run(
        [*command, "--endpoint", server.url], capture_output=True, text=True, timeout=30, check=True
    )
    (event,) = json.loads(finished.stdout)
    assert (event["cause"], event["version"], event["status"]) == ("first", "$LATEST", "success")
    assert event["init_ms"] > 0
    assert event["handler_ms"] > 0
    metrics = get(server, "/_lambent/metrics")[1].splitlines()
    assert any(line.startswith('lambent_cold_start_causes_total{cause="first"} ') for line in metrics)
    assert any(line.startswith("lambent_environments_capacity ") for line in metrics)


def test_cold_starts_are_told_to_signed_callers_of_the_account_alone(server: Server, lambda_client: Any) -> None:
    create_function(lambda_client, "whose", ECHO)
    path = "/_lambent/cold-starts?FunctionName=whose"
    assert get(server, path)[0] == 403
    scope = "20261121/us-east-1/lambda/aws4_request"
    signed = "AWS4-HMAC-SHA256 Credential={}/" + scope + ", SignedHeaders=host, Signature=00"
    assert get(server, path, Authorization=signed.format("test"))[0] == 200
    assert get(server, path, Authorization=signed.format("999999999999"))[0] == 404
    arn = "arn:aws:lambda:us-east-1:000000000000:function:whose"
    other = f"/_lambent/cold-starts?FunctionName={arn}"
    assert get(server, other, Authorization=signed.format("999999999999"))[0] == 404
    counted = "/_lambent/function-metrics?FunctionName=whose"
    assert get(server, counted)[0] == 403
    assert get(server, counted, Authorization=signed.format("999999999999"))[0] == 404
    lambda_client.invoke(FunctionName="whose")
    assert '"ConcurrentExecutions"' in get(server, counted, Authorization=signed.format("test"))[1]
    for path in ("/_lambent/cold-starts?FunctionName=whose&Qualifier=7", "/_lambent/cold-starts?FunctionName=none"):
        assert get(server, path, Authorization=signed.format("test"))[0] == 404
    assert get(server, "/_lambent/cold-starts", Authorization=signed.format("test"))[0] == 400


def prepared(server: Server) -> int:
    """Interpreters that wait."""
    lines = get(server, "/_lambent/metrics")[1].splitlines()
    return sum(
        int(line.split()[1])
        for line in lines
        if line.startswith("lambent_prepared_sandboxes") and 'runtime="none"' not in line
    )


def cold_starts(server: Server, name: str) -> list[dict[str, Any]]:
    signed = "AWS4-HMAC-SHA256 Credential=test/20261121/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=00"
    found: list[dict[str, Any]] = json.loads(
        get(server, f"/_lambent/cold-starts?FunctionName={name}", Authorization=signed)[1]
    )["ColdStarts"]
    return found


def test_the_first_invocation_of_a_new_function_finds_an_interpreter_that_waits(
    start_server: Callable[..., Server],
) -> None:
    server = start_server()
    if server.sandbox == "process":
        pytest.skip("nothing can be prepared there")
    assert prepared(server) == 0, "a server without functions keeps nothing"
    client = server.client("lambda")
    create_function(client, "new", ECHO)
    assert eventually(lambda: prepared(server), timeout_s=10, until=lambda count: count == 2)
    client.invoke(FunctionName="new", Payload=b"1")
    (event,) = cold_starts(server, "new")
    assert event["how"] == "pooled"
    client.delete_function(FunctionName="new")
    assert eventually(lambda: prepared(server), timeout_s=15, until=lambda count: count == 0) == 0


def test_a_killed_server_takes_what_waits_and_its_zygotes_with_it(start_server: Callable[..., Server]) -> None:
    with census() as host:
        server = start_server()
        if server.sandbox == "process":
            pytest.skip("nothing can be prepared there")
        client = server.client("lambda")
        create_function(client, "burst", "import time\ndef handler(event, context):\n    time.sleep(0.5)\n")

        def invoke(_number: int) -> None:
            client.invoke(FunctionName="burst", Payload=b"1")

        for turn in range(3):
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(invoke, range(8)))
            client.update_function_configuration(FunctionName="burst", Description=str(turn))
            wait_updated(client, "burst")
        text = get(server, "/_lambent/metrics")[1]
        assert 'how="forked"' in text
        assert "lambent_zygotes 1" in text.splitlines()
        server.process.kill()
        server.process.wait(10)
        assert eventually(host.left, timeout_s=15) == {}
