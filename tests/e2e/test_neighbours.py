"""Services that are not ours, over the real command: one process at the first call, none before, IAM over a kill."""

import json
import os
import signal
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambent.testing.running_server import Server
from tests.e2e.census import eventually, resources
from tests.e2e.packages import create_function

TRUSTED = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
TRUST = json.dumps({"Version": "2012-10-17", "Statement": [TRUSTED]})
TRUST_ALL = json.dumps({"Version": "2012-10-17", "Statement": [TRUSTED, {**TRUSTED, "Principal": {"AWS": "*"}}]})
BASIC = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
ASKS = """
import boto3
def handler(event, context):
    identity = boto3.client("sts").get_caller_identity()
    s3 = boto3.client("s3")
    s3.put_object(Bucket="results", Key="from/inside", Body=b"x" * 100_000)
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "results", "Key": "from/inside"})
    value = boto3.client("ssm").get_parameter(Name="/app/colour")["Parameter"]["Value"]
    return {"arn": identity["Arn"], "account": identity["Account"], "value": value, "url": url}
"""


def moto_of(server: Server) -> list[int]:
    """The processes that run moto for `server`."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        if b"neighbours.child" in command and parent == server.pid:
            found.append(int(folder.name))
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_process_starts_at_the_first_call_and_again_after_its_end(start_server: Callable[..., Server]) -> None:
    server = start_server()
    server.client("lambda").list_functions()
    server.client("sts").get_caller_identity()
    assert moto_of(server) == []
    ssm = server.client("ssm")
    ssm.put_parameter(Name="a", Value="1", Type="String")
    (pid,) = moto_of(server)
    os.kill(pid, signal.SIGKILL)
    assert not eventually(lambda: alive(pid), timeout_s=5)
    ssm.put_parameter(Name="a", Value="2", Type="String")
    (second,) = moto_of(server)
    assert second != pid
    assert server.terminate() == 0
    assert not eventually(lambda: alive(second), timeout_s=5)


def test_roles_survive_a_kill_of_the_server(start_server: Callable[..., Server]) -> None:
    server = start_server()
    iam = server.client("iam")
    iam.create_role(RoleName="worker", AssumeRolePolicyDocument=TRUST_ALL)
    iam.attach_role_policy(RoleName="worker", PolicyArn=BASIC)
    iam.create_user(UserName="ada")
    key = iam.create_access_key(UserName="ada")["AccessKey"]["AccessKeyId"]
    role = iam.get_role(RoleName="worker")["Role"]
    session = server.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="s1")["Credentials"]["AccessKeyId"]
    (pid,) = moto_of(server)
    server.kill()
    assert not eventually(lambda: alive(pid), timeout_s=5)

    again = start_server()
    arns = [again.client("sts", account=each).get_caller_identity()["Arn"] for each in (key, session)]
    assert [arn.rpartition(":")[2] for arn in arns] == ["user/ada", "assumed-role/worker/s1"]
    assert moto_of(again) == []
    iam = again.client("iam")
    assert iam.get_role(RoleName="worker")["Role"] == role
    attached = iam.list_attached_role_policies(RoleName="worker")["AttachedPolicies"]
    assert [policy["PolicyArn"] for policy in attached] == [BASIC]


def test_a_function_is_its_role_and_reaches_the_neighbours(server: Server, lambda_client: Any) -> None:
    server.client("ssm").put_parameter(Name="/app/colour", Value="blue", Type="String")
    server.client("s3").create_bucket(Bucket="results")
    account = server.client("sts").get_caller_identity()["Account"]
    role = f"arn:aws:iam::{account}:role/team/reader"
    create_function(lambda_client, "f", ASKS, Role=role, Timeout=30)
    reply = lambda_client.invoke(FunctionName="f", Payload=b"{}")
    found = json.loads(reply["Payload"].read())
    assert "FunctionError" not in reply, found
    assert found["arn"] == f"arn:aws:sts::{account}:assumed-role/reader/f@lambda_function"
    assert (found["account"], found["value"]) == (account, "blue")
    body = server.client("s3").get_object(Bucket="results", Key="from/inside")["Body"].read()
    assert body == b"x" * 100_000


ASSUMES = """
import boto3
from botocore.exceptions import ClientError
def session(credentials, service):
    return boto3.client(service, aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"], aws_session_token=credentials["SessionToken"])
def handler(event, context):
    if "credentials" in event:
        try:
            return session(event["credentials"], "sts").get_caller_identity()["Arn"]
        except ClientError as error:
            return error.response["Error"]["Code"]
    credentials = None
    for role in event["roles"]:
        sts = session(credentials, "sts") if credentials else boto3.client("sts")
        credentials = sts.assume_role(RoleArn=role, RoleSessionName="inside")["Credentials"]
    ssm = session(credentials, "ssm")
    ssm.put_parameter(Name="/from/inside", Value=event["value"], Type="String", Overwrite=True)
    return {
        "arn": session(credentials, "sts").get_caller_identity()["Arn"],
        "value": ssm.get_parameter(Name="/from/inside")["Parameter"]["Value"],
        "credentials": {name: str(value) for name, value in credentials.items()},
    }
"""


def test_a_function_works_in_another_account_by_roles_that_trust_it(server: Server, lambda_client: Any) -> None:
    def role(account: str, name: str, principal: str) -> str:
        statement = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam = server.client("iam", account=account)
        return str(iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"])

    def call(name: str, event: Any) -> Any:
        reply = lambda_client.invoke(FunctionName=name, Payload=json.dumps(event))
        found = json.loads(reply["Payload"].read())
        assert "FunctionError" not in reply, found
        return found

    own = f"arn:aws:iam::{server.client('sts').get_caller_identity()['Account']}:role/reader"
    first = role("222222222222", "first", own)
    second = role("333333333333", "second", first)
    for name in ("one", "two"):
        create_function(lambda_client, name, ASSUMES, Role=own, Timeout=30)
    for roles, account, session in (([first], "2" * 12, "first"), ([first, second], "3" * 12, "second")):
        found = call("one", {"roles": roles, "value": session})
        assert (found["arn"], found["value"]) == (f"arn:aws:sts::{account}:assumed-role/{session}/inside", session)
        outside = server.client("ssm", account=account).get_parameter(Name="/from/inside")["Parameter"]
        assert outside["Value"] == session
        # They work where they were got, not in the environment of another function.
        assert call("one", {"credentials": found["credentials"]}) == found["arn"]
        assert call("two", {"credentials": found["credentials"]}) == "InvalidClientTokenId"
    reply = lambda_client.invoke(FunctionName="one", Payload=json.dumps({"roles": [second], "value": "x"}))
    assert "AccessDenied" in reply["Payload"].read().decode()


def test_a_role_that_does_not_trust_lambda_is_refused(server: Server, lambda_client: Any) -> None:
    document = json.dumps({"Version": "2012-10-17", "Statement": []})
    role = server.client("iam").create_role(RoleName="untrusting", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    with pytest.raises(ClientError) as raised:
        create_function(lambda_client, "refused", Role=role)
    assert raised.value.response["Error"] == {
        "Code": "InvalidParameterValueException",
        "Message": "The role defined for the function cannot be assumed by Lambda.",
    }
    server.client("iam").update_assume_role_policy(RoleName="untrusting", PolicyDocument=TRUST)
    create_function(lambda_client, "accepted", Role=role)


def test_two_thousand_calls_leave_nothing_behind(start_server: Callable[..., Server]) -> None:
    server = start_server()
    ssm = server.client("ssm")
    ssm.put_parameter(Name="a", Value="1", Type="String")
    for _ in range(200):
        ssm.get_parameter(Name="a")
    (pid,) = moto_of(server)
    before = {each: resources(each) for each in (server.pid, pid)}
    for _ in range(2000):
        ssm.get_parameter(Name="a")
    for each, earlier in before.items():
        now = resources(each)
        assert now["descriptors"] <= earlier["descriptors"] + 2
        assert now["resident_kb"] <= earlier["resident_kb"] + 12_000


def test_reset_drops_roles_and_sessions(server: Server) -> None:
    iam = server.client("iam")
    role = iam.create_role(RoleName="brief", AssumeRolePolicyDocument=TRUST_ALL)["Role"]["Arn"]
    key = server.client("sts").assume_role(RoleArn=role, RoleSessionName="s1")["Credentials"]["AccessKeyId"]
    with urllib.request.urlopen(urllib.request.Request(f"{server.url}/_lambent/reset", method="POST"), timeout=20):
        pass
    assert iam.list_roles()["Roles"] == []
    assert server.client("sts", account=key).get_caller_identity()["Arn"] == "arn:aws:iam::000000000000:root"


FILLS = """
import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
def handler(event, context):
    kinesis = boto3.client("kinesis", config=Config(retries={"total_max_attempts": 1}))
    kinesis.create_stream(StreamName="endless", ShardCount=1)
    sent = 0
    while context.get_remaining_time_in_millis() > 5000:
        try:
            kinesis.put_record(StreamName="endless", Data=b"x" * 1_000_000, PartitionKey="x")
            sent += 1
        except ClientError as error:
            return {"sent": sent, "error": error.response["Error"]["Code"]}
"""


def test_a_function_that_fills_a_stream_ends_motos_process_and_nothing_else(
    start_server: Callable[..., Server],
) -> None:
    server = start_server("--moto-memory-mb", "384")
    iam = server.client("iam")
    iam.create_role(RoleName="kept", AssumeRolePolicyDocument=TRUST)
    (before,) = moto_of(server)
    resident = resources(server.pid)["resident_kb"]
    create_function(server.client("lambda"), "fills", FILLS, Timeout=60, MemorySize=1769)
    answer = server.client("lambda", read_timeout_s=70.0).invoke(FunctionName="fills")
    told = json.load(answer["Payload"])
    assert told["error"] == "ResourceNotFoundException" or told["error"] == "ServiceUnavailable", told
    assert told["sent"] > 50
    assert not alive(before)
    assert "moto holds more than the 384 MB" in (server.data_dir.with_name("data.log")).read_text()
    assert iam.get_role(RoleName="kept")["Role"]["RoleName"] == "kept", "roles are made again"
    server.client("ssm").put_parameter(Name="a", Value="1", Type="String")
    assert resources(server.pid)["resident_kb"] - resident < 60_000
