"""SnapStart in a running server: what a publish does, what a restore gives, and what is told without a snapshot."""

import json
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambent.testing.running_server import Server
from tests.e2e.census import census, eventually
from tests.e2e.packages import create_function

RESTORES = 20
HOOKS = "from snapshot_restore_py import register_before_snapshot, register_after_restore\n"
WITH_SNAPSHOT: dict[str, Any] = {"SnapStart": {"ApplyOn": "PublishedVersions"}, "MemorySize": 256, "Timeout": 20}


@pytest.fixture(scope="module")
def runtime(server: Server) -> str:
    return newest_with_snapshots(server)


def newest_with_snapshots(server: Server) -> str:
    """The newest Python with snapshots that this machine has."""
    health = json.loads(urllib.request.urlopen(f"{server.url}/_lambent/health", timeout=10).read())
    found = [name for name in health["runtimes"] if name in ("python3.12", "python3.13", "python3.14")]
    if not found:
        pytest.fail("no interpreter of Python 3.12 or newer is on this machine")
    return str(max(found))


def publish(client: Any, name: str, source: str, runtime: str, **members: Any) -> dict[str, Any]:
    """The configuration of version 1, once that is not Pending any more."""
    create_function(client, name, source, Runtime=runtime, **(WITH_SNAPSHOT | members))
    reply = client.publish_version(FunctionName=name)
    assert (reply["State"], reply["StateReasonCode"]) == ("Pending", "Creating")
    return settled(client, name)


def settled(client: Any, name: str) -> dict[str, Any]:
    deadline = time.monotonic() + 40
    while True:
        reply: dict[str, Any] = client.get_function_configuration(FunctionName=name, Qualifier="1")
        if reply["State"] != "Pending" or time.monotonic() > deadline:
            return reply
        time.sleep(0.05)


def ask(client: Any, name: str) -> Any:
    reply = client.invoke(FunctionName=name, Qualifier="1")
    answer = json.loads(reply["Payload"].read())
    assert "FunctionError" not in reply, answer
    return answer


def lines(server: Server, name: str) -> list[str]:
    logs = server.client("logs")
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{name}")
    return [event["message"] for page in pages for event in page["events"]]


def test_one_publish_is_one_init_and_a_restore_is_none(server: Server, lambda_client: Any, runtime: str) -> None:
    source = """
import os, random, time, uuid
print("INIT RAN")
def handler(event, context):
    time.sleep(event)
    kind = os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]
    return [kind, random.random(), str(uuid.uuid4()), os.urandom(16).hex(), os.listdir("/tmp")]
"""
    version = publish(lambda_client, "restored", source, runtime)
    assert (version["State"], version["SnapStart"]["OptimizationStatus"]) == ("Active", "On")
    with ThreadPoolExecutor(RESTORES) as pool:
        answers = list(pool.map(lambda _: _ask_with(server, 2.5), range(RESTORES)))
    assert {each[0] for each in answers} == {"snap-start"}
    values = [value for each in answers for value in each[1:4]]
    assert len(values) == len(set(values))
    told = eventually(
        lambda: lines(server, "restored"), timeout_s=5, until=lambda found: _count(found, "REPORT Req") == RESTORES
    )
    assert _count(told, "INIT RAN") == _count(told, "INIT_START") == 1
    restored = _count(told, "RESTORE_REPORT Restore Duration: ")
    assert restored == _count(told, "RESTORE_START Runtime Version: python:") == _restores_reported(told) > 10
    assert _count(told, "Init Duration") == 0


def _ask_with(server: Server, event: float) -> Any:
    reply = server.client("lambda").invoke(FunctionName="restored", Qualifier="1", Payload=json.dumps(event))
    return json.loads(reply["Payload"].read())


def _count(told: list[str], start: str) -> int:
    return sum(line.startswith(start) for line in told)


def _restores_reported(told: list[str]) -> int:
    return sum("\tRestore Duration: " in line and "\tBilled Restore Duration: " in line for line in told)


def test_a_client_made_in_init_has_the_credentials_of_the_restored_environment(
    lambda_client: Any, runtime: str
) -> None:
    source = """
import boto3, os
sts = boto3.client("sts")
def key():
    return sts._request_signer._credentials.get_frozen_credentials().access_key
before = sts.get_caller_identity()["Arn"], key()
def handler(event, context):
    return [before[0] == sts.get_caller_identity()["Arn"], before[1] == key(), "AWS_ACCESS_KEY_ID" in os.environ]
"""
    version = publish(lambda_client, "client", source, runtime)
    assert version["SnapStart"]["OptimizationStatus"] == "On", version.get("StateReason")
    assert ask(lambda_client, "client") == [True, False, False]


def test_what_forbids_a_snapshot_is_told_and_the_function_runs(
    server: Server, lambda_client: Any, runtime: str
) -> None:
    source = f"""
import threading
{HOOKS}
threading.Thread(target=threading.Event().wait, daemon=True).start()
print("INIT RAN")
register_before_snapshot(print, "BEFORE")
register_after_restore(print, "AFTER")
def handler(event, context):
    return threading.active_count()
"""
    version = publish(lambda_client, "threads", source, runtime)
    assert version["State"] == "Active"
    assert version["SnapStart"] == {"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"}
    assert "2 threads" in version["StateReason"]
    assert ask(lambda_client, "threads") == 2
    told = eventually(
        lambda: lines(server, "threads"), timeout_s=5, until=lambda found: _count(found, "REPORT Req") == 1
    )
    own = [line.strip() for line in told if line.strip() in ("INIT RAN", "BEFORE", "AFTER")]
    assert own == ["INIT RAN", "BEFORE", "INIT RAN", "BEFORE", "AFTER"]


@pytest.mark.parametrize(
    ("name", "source", "reason"),
    [
        ("broken-init", "raise RuntimeError('no way')", "RuntimeError: no way"),
        (
            "broken-hook",
            HOOKS + "register_before_snapshot(lambda: 1 / 0)\ndef handler(e, c): pass",
            "ZeroDivisionError",
        ),
        ("exits", "import os\nos._exit(3)", "exit status 3"),
    ],
)
def test_a_version_whose_init_fails_is_failed(
    lambda_client: Any, runtime: str, name: str, source: str, reason: str
) -> None:
    version = publish(lambda_client, name, source, runtime)
    assert (version["State"], version["StateReasonCode"]) == ("Failed", "FunctionError.RuntimeInitError")
    assert reason in version["StateReason"]
    assert version["SnapStart"]["OptimizationStatus"] == "Off"


def test_a_hook_that_fails_after_the_restore_is_told(server: Server, lambda_client: Any, runtime: str) -> None:
    source = HOOKS + "register_after_restore(lambda: 1 / 0)\ndef handler(event, context): pass"
    publish(lambda_client, "after", source, runtime)
    with pytest.raises(ClientError, match="afterRestore") as caught:
        ask(lambda_client, "after")
    assert caught.value.response["Error"]["Code"] == "SnapStartException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    told = eventually(
        lambda: lines(server, "after"), timeout_s=5, until=lambda found: _count(found, "RESTORE_REPORT") >= 1
    )
    assert _count(told, "[ERROR] ZeroDivisionError: division by zero") >= 1
    assert any(line.endswith("Status: error\tError Type: Runtime.AfterRestoreError\n") for line in told)


def test_hooks_after_the_restore_have_a_limit(start_server: Callable[..., Server], runtime: str) -> None:
    server = start_server("--quota", "restore_limit_s=1")
    client = server.client("lambda")
    source = HOOKS + "import time\nregister_after_restore(time.sleep, 60)\ndef handler(event, context): pass"
    publish(client, "slow", source, runtime)
    with pytest.raises(ClientError) as caught:
        ask(client, "slow")
    assert caught.value.response["Error"]["Code"] == "SnapStartTimeoutException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 408
    told = eventually(
        lambda: lines(server, "slow"), timeout_s=5, until=lambda found: _count(found, "RESTORE_REPORT") >= 1
    )
    assert any(line.startswith("RESTORE_REPORT") and line.endswith("\tStatus: timeout\n") for line in told)


def test_a_version_that_is_pending_is_not_ready_and_unsupported_combinations_are_refused(
    lambda_client: Any, runtime: str
) -> None:
    source = "import time\ntime.sleep(1)\ndef handler(event, context): return event"
    create_function(lambda_client, "pending", source, Runtime=runtime, **WITH_SNAPSHOT)
    lambda_client.publish_version(FunctionName="pending")
    with pytest.raises(lambda_client.exceptions.SnapStartNotReadyException):
        ask(lambda_client, "pending")
    assert settled(lambda_client, "pending")["State"] == "Active"
    with pytest.raises(lambda_client.exceptions.InvalidParameterValueException, match="Provisioned Concurrency"):
        lambda_client.put_provisioned_concurrency_config(
            FunctionName="pending", Qualifier="1", ProvisionedConcurrentExecutions=1
        )
    for change, told in (
        ({"Runtime": "python3.11"}, "python3.11 is not supported for SnapStart enabled functions."),
        ({"EphemeralStorage": {"Size": 513}}, "EphemeralStorage"),
    ):
        with pytest.raises(lambda_client.exceptions.InvalidParameterValueException, match=told):
            lambda_client.update_function_configuration(FunctionName="pending", **change)
    lambda_client.update_function_configuration(FunctionName="pending", SnapStart={"ApplyOn": "None"})


def test_templates_come_back_after_a_kill_and_go_with_their_version(
    start_server: Callable[..., Server], runtime: str
) -> None:
    source = "print('INIT RAN')\ndef handler(event, context): return event"
    with census() as counted:
        server = start_server("--prewarm", "off")
        publish(server.client("lambda"), "lasting", source, runtime)
        written = eventually(lambda: _count(lines(server, "lasting"), "INIT RAN"), timeout_s=5, until=bool)
        assert written == 1  # The last moments of a log go with a kill.
        server.kill()
        assert eventually(lambda: counted.left(), timeout_s=10) == {}
        server = start_server("--prewarm", "off")
        client = server.client("lambda")
        on = eventually(
            lambda: settled(client, "lasting")["SnapStart"]["OptimizationStatus"],
            timeout_s=15,
            until=lambda found: found == "On",
        )
        assert on == "On"
        client.invoke(FunctionName="lasting", Qualifier="1")
        told = eventually(
            lambda: lines(server, "lasting"), timeout_s=5, until=lambda found: _count(found, "REPORT Req") == 1
        )
        assert _count(told, "INIT RAN") == 2
        assert _count(told, "RESTORE_REPORT") == 1
        running = len(counted.processes())
        client.delete_function(FunctionName="lasting")
        gone = eventually(lambda: len(counted.processes()), timeout_s=10, until=lambda found: found <= running - 3)
        assert gone <= running - 3
        server.terminate()
        assert eventually(lambda: counted.left(), timeout_s=10) == {}


def test_latest_is_restored_too_when_the_server_forks_it(start_server: Callable[..., Server]) -> None:
    server = start_server("--fork-latest")
    client = server.client("lambda")
    source = "import boto3\nprint('INIT RAN')\nsts = boto3.client('sts')\n"
    source += "def handler(event, context): return sts.get_caller_identity()['Arn']"
    create_function(client, "forked", source, MemorySize=256, Timeout=20)
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: server.client("lambda").invoke(FunctionName="forked"), range(3)))
    assert all("assumed-role" in answer["Payload"].read().decode() for answer in answers)
    told = eventually(
        lambda: lines(server, "forked"), timeout_s=5, until=lambda found: _count(found, "REPORT Req") == 3
    )
    assert _count(told, "INIT RAN") == 1
    assert _count(told, "RESTORE_REPORT") >= 1


@pytest.mark.parametrize(
    ("event", "error"),
    [("sleep", "Sandbox.Timedout"), ("exit", "Runtime.ExitError"), ("memory", "Runtime.OutOfMemory")],
)
def test_a_restored_function_fails_as_any_other_and_the_next_call_is_a_restore(
    lambda_client: Any, runtime: str, event: str, error: str
) -> None:
    source = """
import os, time
def handler(event, context):
    if event == "sleep":
        time.sleep(60)
    if event == "exit":
        os._exit(7)
    if event == "memory":
        return len(bytearray(os.urandom(1) * (400 << 20)))
    return os.listdir("/tmp")
"""
    name = f"fails-{event}"
    publish(lambda_client, name, source, runtime, Timeout=2)
    reply = lambda_client.invoke(FunctionName=name, Qualifier="1", Payload=json.dumps(event))
    assert json.loads(reply["Payload"].read())["errorType"] == error
    assert ask(lambda_client, name) == []
