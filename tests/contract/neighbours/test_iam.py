"""IAM survives the end of moto's process: the same roles, with the same ids, dates and keys."""

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambent.aws.errors import PlatformFault
from lambent.services.neighbours import store
from tests.contract.neighbours.conftest import World

ACCOUNT = "123456789012"
TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})
ALLOWED = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [ALLOWED]})
BASIC = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"


@pytest.fixture
def iam(world: World) -> Iterator[Any]:
    yield world.client("iam")
    world.run(world.neighbours.reset())


def killed(world: World) -> None:
    (pid,) = world.neighbours.processes()
    os.kill(pid, signal.SIGKILL)
    while world.neighbours.processes():
        world.run(nothing())


async def nothing() -> None:
    return None


def everything(iam: Any) -> Any:
    details = iam.get_account_authorization_details(Filter=["User", "Role", "Group", "LocalManagedPolicy"])
    details.pop("ResponseMetadata")
    return details


def test_roles_policies_users_groups_and_profiles_are_the_same_after_a_kill(world: World, iam: Any) -> None:
    iam.create_role(RoleName="worker", Path="/team/", AssumeRolePolicyDocument=TRUST, Tags=[{"Key": "a", "Value": "b"}])
    iam.attach_role_policy(RoleName="worker", PolicyArn=BASIC)
    iam.put_role_policy(RoleName="worker", PolicyName="inline", PolicyDocument=POLICY)
    policy = iam.create_policy(PolicyName="own", PolicyDocument=POLICY)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="worker", PolicyArn=policy)
    iam.create_user(UserName="ada")
    iam.create_group(GroupName="staff")
    iam.add_user_to_group(UserName="ada", GroupName="staff")
    iam.create_instance_profile(InstanceProfileName="box")
    iam.add_role_to_instance_profile(InstanceProfileName="box", RoleName="worker")
    made = iam.create_access_key(UserName="ada")["AccessKey"]
    before = everything(iam)
    role = iam.get_role(RoleName="worker")["Role"]

    killed(world)

    assert iam.get_role(RoleName="worker")["Role"] == role
    assert everything(iam) == before
    keys = iam.list_access_keys(UserName="ada")["AccessKeyMetadata"]
    assert [(key["AccessKeyId"], key["CreateDate"]) for key in keys] == [(made["AccessKeyId"], made["CreateDate"])]


def test_what_was_deleted_stays_away_and_leaves_no_trace(world: World, iam: Any) -> None:
    for name in ("kept", "gone"):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)
        iam.attach_role_policy(RoleName=name, PolicyArn=BASIC)
    iam.detach_role_policy(RoleName="gone", PolicyArn=BASIC)
    iam.delete_role(RoleName="gone")
    killed(world)
    assert [role["RoleName"] for role in iam.list_roles()["Roles"]] == ["kept"]
    assert len(iam.list_attached_role_policies(RoleName="kept")["AttachedPolicies"]) == 1
    assert world.neighbours.kept_writes() == 2


def test_a_refused_write_is_not_kept(world: World, iam: Any) -> None:
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.attach_role_policy(RoleName="none", PolicyArn=BASIC)
    assert world.neighbours.kept_writes() == 0


def test_a_write_that_cannot_be_stored_is_not_there_either(
    world: World, iam: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam.create_role(RoleName="kept", AssumeRolePolicyDocument=TRUST)

    def fail(*_: Any) -> int:
        raise PlatformFault("The disk is full.")

    with monkeypatch.context() as patched:
        patched.setattr(store, "add", fail)
        with pytest.raises(ClientError) as raised:
            iam.create_role(RoleName="lost", AssumeRolePolicyDocument=TRUST)
        assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert [role["RoleName"] for role in iam.list_roles()["Roles"]] == ["kept"]
    assert world.neighbours.kept_writes() == 1
    iam.create_role(RoleName="lost", AssumeRolePolicyDocument=TRUST)
    killed(world)
    assert {role["RoleName"] for role in iam.list_roles()["Roles"]} == {"kept", "lost"}


def test_a_created_key_is_its_owners(world: World, iam: Any) -> None:
    iam.create_user(UserName="grace", Path="/navy/")
    key = iam.create_access_key(UserName="grace")["AccessKey"]
    hers = world.client("iam", account=key["AccessKeyId"])
    assert hers.get_user()["User"]["UserName"] == "grace"
    world.client("ssm", account=key["AccessKeyId"]).put_parameter(Name="hers", Value="1", Type="String")
    arn = world.client("ssm").get_parameter(Name="hers")["Parameter"]["ARN"]
    assert arn == f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/hers"
    identity = world.client("lambda", account=key["AccessKeyId"]).get_function(FunctionName="x")["Configuration"]
    assert identity["Role"] == f"arn:aws:iam::{ACCOUNT}:user/navy/grace"


def test_a_key_that_is_off_or_deleted_opens_nothing(world: World) -> None:
    iam = world.client("iam")
    iam.create_user(UserName="leaver")
    key = iam.create_access_key(UserName="leaver")["AccessKey"]["AccessKeyId"]
    clients = {service: world.client(service, account=key) for service in ("sts", "lambda", "s3", "sqs", "ec2", "iam")}
    calls: dict[str, Any] = {
        "sts": lambda: clients["sts"].get_caller_identity(),
        "lambda": lambda: clients["lambda"].get_function(FunctionName="x"),
        "s3": lambda: clients["s3"].list_buckets(),
        "sqs": lambda: clients["sqs"].list_queues(),
        "ec2": lambda: clients["ec2"].describe_vpcs(),
        "iam": lambda: clients["iam"].list_users(),
    }

    def codes() -> dict[str, str]:
        found = {}
        for service, call in calls.items():
            try:
                call()
            except ClientError as error:
                found[service] = error.response["Error"]["Code"]
        return found

    refused = {
        "sts": "InvalidClientTokenId",
        "lambda": "UnrecognizedClientException",
        "s3": "InvalidAccessKeyId",
        "sqs": "UnrecognizedClientException",
        "ec2": "AuthFailure",
        "iam": "InvalidClientTokenId",
    }
    assert codes() == {}
    iam.update_access_key(UserName="leaver", AccessKeyId=key, Status="Inactive")
    assert codes() == refused
    iam.update_access_key(UserName="leaver", AccessKeyId=key, Status="Active")
    assert codes() == {}
    iam.delete_access_key(UserName="leaver", AccessKeyId=key)
    assert codes() == refused
    assert world.client("sts", account="AKIANEVERSEEN").get_caller_identity()["Account"] == "000000000000"
