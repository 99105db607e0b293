"""The bill of a real server: it says what the REPORT lines say, and survives kill -9."""

import base64
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambent.testing.running_server import Server
from tests.e2e.census import eventually
from tests.e2e.packages import create_function

SOURCE = """
import time

def handler(event, context):
    time.sleep(event.get("sleep", 0))
    if event.get("fail"):
        raise ValueError("as asked")
    return len(event.get("padding", ""))
"""
BILLED = re.compile(r"Billed Duration: (\d+) ms")


def lambent(server: Server, *arguments: str, code: int = 0) -> str:
    finished = subprocess.run(
        [sys.executable, "-m", "lambent", *arguments, "--endpoint", server.url],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert finished.returncode == code, finished.stderr
    return finished.stdout if code == 0 else finished.stderr


def bill(server: Server, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(lambent(server, "bill", "--json", *arguments))
    return found


def row(server: Server, name: str, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = next((each for each in bill(server, *arguments)["Rows"] if each["Key"] == name), {})
    return found


def reported(server: Server, name: str) -> list[int]:
    """Billed milliseconds of all REPORT lines of a function."""
    found = server.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{name}", filterPattern="REPORT")
    return [int(match[1]) for event in found["events"] if (match := BILLED.search(event["message"]))]


def test_the_bill_is_what_the_report_lines_say(server: Server, lambda_client: Any) -> None:
    create_function(lambda_client, "billed", SOURCE, Timeout=1, MemorySize=256)

    def invoke(event: dict[str, Any], **more: Any) -> dict[str, Any]:
        answer: dict[str, Any] = lambda_client.invoke(FunctionName="billed", Payload=json.dumps(event), **more)
        return answer

    tail = base64.b64decode(invoke({}, LogType="Tail")["LogResult"]).decode()
    assert (match := BILLED.search(tail))
    eventually(lambda: row(server, "billed"), timeout_s=5, until=bool)
    assert row(server, "billed")["BilledMs"] == int(match[1])

    invoke({"sleep": 0.05})
    assert "FunctionError" in invoke({"fail": True})
    assert "FunctionError" in invoke({"sleep": 5})
    assert invoke({}, InvocationType="DryRun")["StatusCode"] == 204
    # 300 KB: one request for the first 256 KB, one for what is beyond.
    assert invoke({"padding": "x" * 300 * 1024}, InvocationType="Event")["StatusCode"] == 202
    eventually(lambda: reported(server, "billed"), timeout_s=10, until=lambda found: len(found) == 5)
    lambda_client.put_function_concurrency(FunctionName="billed", ReservedConcurrentExecutions=0)
    with pytest.raises(ClientError, match="TooManyRequestsException"):
        lambda_client.invoke(FunctionName="billed")

    found = row(server, "billed")
    times = reported(server, "billed")
    assert len(times) == 5
    assert max(times) >= 1000
    assert (found["Invocations"], found["Requests"], found["Errors"]) == (5, 6, 2)
    assert found["BilledMs"] == sum(times)
    gb_seconds = Decimal(sum(times)) / 1000 / 4
    assert Decimal(found["GbSeconds"]) == gb_seconds
    price = Decimal("0.0000166667") if "x86_64" in architectures(lambda_client) else Decimal("0.0000133334")
    assert Decimal(found["Cost"]["Total"]) == 6 * Decimal("0.0000002") + gb_seconds * price


def architectures(client: Any) -> list[str]:
    found: list[str] = client.get_function_configuration(FunctionName="billed")["Architectures"]
    return found


def test_the_init_of_a_provisioned_environment_is_billed_with_its_first_invocation(
    start_server: Callable[..., Server],
) -> None:
    """AWS has always billed it. One that is never invoked costs its allocation alone. The free tier is not for it."""
    server = start_server()
    lambda_client = server.client("lambda")
    create_function(lambda_client, "ready", "import time\ntime.sleep(0.3)\n" + SOURCE, Publish=True)
    lambda_client.put_provisioned_concurrency_config(
        FunctionName="ready", Qualifier="1", ProvisionedConcurrentExecutions=1
    )

    def status() -> str:
        config = lambda_client.get_provisioned_concurrency_config(FunctionName="ready", Qualifier="1")
        return str(config["Status"])

    assert eventually(status, timeout_s=20, until=lambda found: found != "IN_PROGRESS") == "READY"
    for _ in range(2):
        lambda_client.invoke(FunctionName="ready", Qualifier="1", Payload=b"{}")
    first, second = eventually(lambda: reported(server, "ready"), timeout_s=10, until=lambda found: len(found) == 2)
    assert first >= 300 > second
    found = eventually(lambda: row(server, "ready"), timeout_s=5, until=lambda line: line.get("Invocations") == 2)
    assert found["BilledMs"] == first + second
    # Dearer than duration in environments that are provisioned is, and the time of allocation beside it.
    assert Decimal(found["Cost"]["Duration"]) < Decimal(found["GbSeconds"]) * Decimal("0.0000133")
    assert Decimal(found["Cost"]["Provisioned"]) > 0


def test_the_bill_is_a_table_by_function_tag_and_day(server: Server, lambda_client: Any) -> None:
    create_function(lambda_client, "tagged", SOURCE, Tags={"team": "blue"})
    lambda_client.invoke(FunctionName="tagged", Payload=b"{}")
    eventually(lambda: row(server, "tagged"), timeout_s=5, until=bool)
    shown = lambent(server, "bill")
    assert re.search(r"^tagged +1 +[\d.]+ +\$0\.0000002 ", shown, re.MULTILINE)
    assert re.search(r"^total +\$0$", shown, re.MULTILINE)
    assert row(server, "blue", "--by", "tag", "team")["Requests"] == 1
    day = bill(server, "--by", "day")["Rows"][-1]["Key"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", day)
    assert bill(server, "--month", "2020-01")["Rows"] == []


def test_a_budget_that_is_used_up_stops_its_function_until_it_is_raised(server: Server, lambda_client: Any) -> None:
    create_function(lambda_client, "capped", SOURCE)
    lambda_client.invoke(FunctionName="capped", Payload=b"{}")
    lambent(server, "bill", "budget", "set", "0.0000001", "--function", "capped", "--stop")
    eventually(lambda: row(server, "capped"), timeout_s=5, until=bool)
    refused = lambent(server, "invoke", "capped", code=4)
    assert "The budget of function capped (us-east-1) for " in refused
    assert lambda_client.invoke(FunctionName="capped", InvocationType="Event", Payload=b"{}")["StatusCode"] == 202
    assert "invocations are refused" in lambent(server, "bill")
    assert row(server, "capped")["Invocations"] == 1
    lambent(server, "bill", "budget", "set", "1", "--function", "capped", "--stop")
    assert lambda_client.invoke(FunctionName="capped", Payload=b"{}")["StatusCode"] == 200
    # The event has waited as a throttled one does.
    found = eventually(lambda: row(server, "capped"), timeout_s=20, until=lambda line: line["Invocations"] == 3)
    assert found["Invocations"] == 3
    lambent(server, "bill", "budget", "remove", "--function", "capped")
    assert "no budgets" in lambent(server, "bill", "budget", "list")


def test_kill_9_loses_nothing_that_is_300_ms_old(start_server: Callable[..., Server]) -> None:
    server = start_server()
    client = server.client("lambda")
    create_function(client, "killed", SOURCE)
    for _ in range(20):
        client.invoke(FunctionName="killed", Payload=b"{}")
    lambent(server, "bill", "budget", "set", "0.000001", "--stop")
    ended = time.monotonic()
    # Nobody asks for the bill, which would store it: the flush has to do that by itself.
    eventually(lambda: time.monotonic() - ended >= 0.3, timeout_s=5, until=bool)
    server.process.send_signal(signal.SIGKILL)
    server.process.wait(10)
    again = start_server()
    found = row(again, "killed")
    assert found["Invocations"] == 20
    assert found["BilledMs"] == sum(reported(again, "killed"))
    assert json.loads(lambent(again, "bill", "budget", "list", "--json"))[0]["Amount"] == "0.000001"
    assert found["Cost"]["Requests"] == "0.000004"


def test_prices_of_ones_own_are_charged(start_server: Callable[..., Server], tmp_path: Any) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text("[free]\nenabled = false\n[default]\nrequest = 3\n")
    server = start_server("--prices", str(prices))
    client = server.client("lambda")
    create_function(client, "dear", SOURCE)
    client.invoke(FunctionName="dear", Payload=b"{}")
    eventually(lambda: row(server, "dear"), timeout_s=5, until=bool)
    assert row(server, "dear")["Cost"]["Requests"] == "3"
    assert Decimal(bill(server)["Total"]["AfterFreeTier"]) > 3
