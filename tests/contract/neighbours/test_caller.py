"""Calls of our own parts: one interface, whoever answers."""

import asyncio
import os
import signal
from typing import Any

import pytest

from lambent.aws.errors import ApiError
from tests.contract.neighbours.conftest import World

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/worker"


def call(world: World, service: str, operation: str, parameters: dict[str, Any]) -> Any:
    work = world.caller.call(service, operation, parameters, account=ACCOUNT, region="eu-west-1", principal=ROLE)
    return world.run(work)


def test_a_service_of_ours_is_called_in_the_process(world: World) -> None:
    reply = call(world, "lambda", "GetFunction", {"FunctionName": "hello"})
    assert reply == {"Configuration": {"FunctionName": "hello", "Role": ROLE}}


def test_a_service_of_ours_validates_as_for_everybody(world: World) -> None:
    with pytest.raises(ApiError, match="1 validation error detected") as raised:
        call(world, "lambda", "GetFunction", {})
    assert raised.value.code == "ValidationException"
    with pytest.raises(ApiError) as raised:
        call(world, "lambda", "ListFunctions", {})
    assert (raised.value.code, raised.value.status) == ("NotImplementedException", 501)


def test_neighbours_of_every_protocol_answer_by_the_members_of_the_model(world: World) -> None:
    key = {"AttributeName": "id", "KeyType": "HASH"}
    kind = {"AttributeName": "id", "AttributeType": "S"}
    table = {"TableName": "t", "KeySchema": [key], "AttributeDefinitions": [kind], "BillingMode": "PAY_PER_REQUEST"}
    assert call(world, "dynamodb", "CreateTable", table)["TableDescription"]["TableName"] == "t"
    call(world, "dynamodb", "PutItem", {"TableName": "t", "Item": {"id": {"S": "ü"}, "b": {"B": b"PK\x00\xff"}}})
    (item,) = call(world, "dynamodb", "Scan", {"TableName": "t"})["Items"]
    assert item == {"id": {"S": "ü"}, "b": {"B": b"PK\x00\xff"}}
    zone = call(world, "route53", "CreateHostedZone", {"Name": "a.example", "CallerReference": "ü b"})["HostedZone"]
    found = call(world, "route53", "GetHostedZone", {"Id": zone["Id"].rpartition("/")[2]})
    assert found["HostedZone"]["Name"] == "a.example."
    topic = call(world, "sns", "CreateTopic", {"Name": "t"})["TopicArn"]
    assert topic == f"arn:aws:sns:eu-west-1:{ACCOUNT}:t"
    vpc = call(world, "ec2", "CreateVpc", {"CidrBlock": "10.0.0.0/16"})["Vpc"]["VpcId"]
    found = call(world, "ec2", "DescribeVpcs", {"Filters": [{"Name": "vpc-id", "Values": [vpc]}]})["Vpcs"]
    assert [each["VpcId"] for each in found] == [vpc]
    assert call(world, "cloudwatch", "ListMetrics", {"Namespace": "x"})["Metrics"] == []
    assert call(world, "efs", "CreateFileSystem", {"CreationToken": "a"})["OwnerId"] == ACCOUNT
    key = call(world, "kms", "CreateKey", {})["KeyMetadata"]["KeyId"]
    sealed = call(world, "kms", "Encrypt", {"KeyId": key, "Plaintext": b"secret"})["CiphertextBlob"]
    assert call(world, "kms", "Decrypt", {"CiphertextBlob": sealed})["Plaintext"] == b"secret"


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "code", "status"),
    [
        ("route53", "GetHostedZone", {"Id": "none"}, "NoSuchHostedZone", 404),
        ("iam", "GetRole", {"RoleName": "none"}, "NoSuchEntity", 404),
        ("ssm", "GetParameter", {"Name": "none"}, "ParameterNotFound", 400),
        ("dynamodb", "DescribeTable", {"TableName": "none"}, "ResourceNotFoundException", 400),
        ("efs", "DescribeFileSystems", {"FileSystemId": "fs-00000000"}, "FileSystemNotFound", 404),
        ("gameliftstreams", "ListApplications", {}, "NotImplementedException", 501),
        ("nothing", "DoIt", {}, "NotImplementedException", 501),
        ("route53", "DoIt", {}, "NotImplementedException", 501),
    ],
)
def test_errors_have_the_code_and_status_of_the_service(
    world: World, service: str, operation: str, parameters: dict[str, Any], code: str, status: int
) -> None:
    with pytest.raises(ApiError) as raised:
        call(world, service, operation, parameters)
    assert (raised.value.code, raised.value.status) == (code, status)
    assert raised.value.message


def test_a_call_that_loses_its_process_is_made_again_by_the_next_one(world: World) -> None:
    call(world, "ssm", "PutParameter", {"Name": "a", "Value": "1", "Type": "String"})
    (pid,) = world.neighbours.processes()
    os.kill(pid, signal.SIGSTOP)

    async def cut() -> None:
        asked = asyncio.ensure_future(
            world.caller.call("ssm", "GetParameter", {"Name": "a"}, account=ACCOUNT, region="eu-west-1", principal=ROLE)
        )
        await asyncio.sleep(0)
        os.kill(pid, signal.SIGKILL)
        await asked

    with pytest.raises(ApiError, match="ParameterNotFound"):
        world.run(cut())
    assert world.neighbours.processes() != [pid]
