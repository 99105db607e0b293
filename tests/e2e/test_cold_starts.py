"""Why was this cold? Asked of a running server by its command and its metrics."""

import http.client
import json
import subprocess
import sys
from typing import Any

from lambent.testing.running_server import Server
from tests.e2e.packages import ECHO, create_function


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
    for path in ("/_lambent/cold-starts?FunctionName=whose&Qualifier=7", "/_lambent/cold-starts?FunctionName=none"):
        assert get(server, path, Authorization=signed.format("test"))[0] == 404
    assert get(server, "/_lambent/cold-starts", Authorization=signed.format("test"))[0] == 400
