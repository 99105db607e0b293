"""STS: who one is, and keys that the gateway recognises until they expire."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.neighbours.conftest import World

ACCOUNT = "123456789012"
OTHER = "222222222222"


def trusting(principal: Any, *actions: str, **condition: Any) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": ["sts:AssumeRole", *actions]}
    if condition:
        statement["Condition"] = condition
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


TRUST = trusting({"AWS": f"arn:aws:iam::{ACCOUNT}:root"})


@pytest.fixture
def sts(world: World) -> Iterator[Any]:
    yield world.client("sts")
    world.run(world.neighbours.reset())


def as_session(world: World, service: str, credentials: dict[str, str]) -> Any:
    return world.client(
        service,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )


def identity(client: Any) -> dict[str, str]:
    reply = client.get_caller_identity()
    assert reply["ResponseMetadata"]["RequestId"] == reply["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"]
    return {name: reply[name] for name in ("Account", "Arn", "UserId")}


def test_an_account_number_as_key_is_its_root(world: World, sts: Any) -> None:
    assert identity(sts) == {"Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:root", "UserId": ACCOUNT}
    nobody = identity(world.client("sts", account="test"))
    assert nobody == {"Account": "0" * 12, "Arn": "arn:aws:iam::000000000000:root", "UserId": "0" * 12}


def test_a_created_key_is_its_user(world: World, sts: Any) -> None:
    iam = world.client("iam")
    user = iam.create_user(UserName="ada")["User"]
    key = iam.create_access_key(UserName="ada")["AccessKey"]["AccessKeyId"]
    found = identity(world.client("sts", account=key))
    assert found == {"Account": ACCOUNT, "Arn": user["Arn"], "UserId": user["UserId"]}
    assert sts.get_access_key_info(AccessKeyId=key)["Account"] == ACCOUNT


def test_an_assumed_role_acts_in_the_account_of_the_role(world: World, sts: Any) -> None:
    role = world.client("iam", account=OTHER).create_role(
        RoleName="worker", Path="/team/", AssumeRolePolicyDocument=TRUST
    )["Role"]
    reply = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="tuesday")
    arn = f"arn:aws:sts::{OTHER}:assumed-role/worker/tuesday"
    user_id = f"{role['RoleId']}:tuesday"
    assert reply["AssumedRoleUser"] == {"AssumedRoleId": user_id, "Arn": arn}
    session = as_session(world, "sts", reply["Credentials"])
    assert identity(session) == {"Account": OTHER, "Arn": arn, "UserId": user_id}
    as_session(world, "ssm", reply["Credentials"]).put_parameter(Name="p", Value="v", Type="String")
    assert world.client("ssm", account=OTHER).get_parameter(Name="p")["Parameter"]["Value"] == "v"
    chained = session.get_session_token()["Credentials"]
    assert identity(as_session(world, "sts", chained))["Arn"] == arn


@pytest.mark.parametrize(
    ("role", "code"),
    [
        (f"arn:aws:iam::{ACCOUNT}:role/none", "AccessDenied"),
        ("arn:aws:s3:::bucket-of-mine", "ValidationError"),
        ("no arn, but long enough", "ValidationError"),
        ("short", "ValidationError"),
    ],
)
def test_only_a_role_that_exists_can_be_assumed(sts: Any, role: str, code: str) -> None:
    with pytest.raises(ClientError) as raised:
        sts.assume_role(RoleArn=role, RoleSessionName="x1")
    assert raised.value.response["Error"]["Code"] == code
    if code == "AccessDenied":
        text = f"User: arn:aws:iam::{ACCOUNT}:root is not authorized to perform: sts:AssumeRole on resource: {role}"
        assert raised.value.response["Error"]["Message"] == text


def made(world: World, name: str, document: str, account: str = OTHER) -> str:
    role = world.client("iam", account=account).create_role(RoleName=name, AssumeRolePolicyDocument=document)
    return str(role["Role"]["Arn"])


def refused(sts: Any, role: str, **parameters: Any) -> str:
    with pytest.raises(ClientError) as raised:
        sts.assume_role(**{"RoleArn": role, "RoleSessionName": "s1", **parameters})
    error = raised.value.response["Error"]
    assert error["Code"] == "AccessDenied"
    return str(error["Message"])


def test_the_trust_policy_decides_who_may_assume(world: World, sts: Any) -> None:
    root = f"arn:aws:iam::{ACCOUNT}:root"
    for name, document in (
        ("lambdas", trusting({"Service": "lambda.amazonaws.com"})),
        ("strangers", trusting({"AWS": "333333333333"})),
        ("untrusting", json.dumps({"Version": "2012-10-17", "Statement": []})),
        ("users", trusting({"AWS": f"arn:aws:iam::{ACCOUNT}:user/ada"})),
    ):
        for account in (OTHER, ACCOUNT):
            role = made(world, name, document, account)
            text = f"User: {root} is not authorized to perform: sts:AssumeRole on resource: {role}"
            assert refused(sts, role) == text
    iam = world.client("iam")
    iam.create_user(UserName="ada")
    ada = world.client("sts", account=iam.create_access_key(UserName="ada")["AccessKey"]["AccessKeyId"])
    ada.assume_role(RoleArn=f"arn:aws:iam::{OTHER}:role/users", RoleSessionName="s1")


def test_conditions_on_the_external_id_and_the_session_name(world: World, sts: Any) -> None:
    condition = {"sts:ExternalId": "77", "sts:RoleSessionName": "nightly"}
    role = made(world, "guarded", trusting({"AWS": ACCOUNT}, StringEquals=condition))
    refused(sts, role)
    refused(sts, role, RoleSessionName="nightly")
    refused(sts, role, RoleSessionName="nightly", ExternalId="88")
    refused(sts, role, RoleSessionName="daily", ExternalId="77")
    sts.assume_role(RoleArn=role, RoleSessionName="nightly", ExternalId="77")


def test_tags_and_a_source_identity_must_be_trusted_too(world: World, sts: Any) -> None:
    tags = [{"Key": "team", "Value": "blue"}]
    role = made(world, "plain", trusting({"AWS": ACCOUNT}))
    assert "sts:TagSession" in refused(sts, role, Tags=tags)
    assert "sts:SetSourceIdentity" in refused(sts, role, SourceIdentity="ada")
    condition = {"aws:RequestTag/team": "blue"}
    role = made(world, "tagged", trusting({"AWS": ACCOUNT}, "sts:TagSession", StringEquals=condition))
    sts.assume_role(RoleArn=role, RoleSessionName="s1", Tags=tags)
    refused(sts, role, Tags=[{"Key": "team", "Value": "red"}])


def test_a_role_assumes_the_next_for_one_hour_at_most(world: World, sts: Any) -> None:
    first = made(world, "first", TRUST)
    second = made(world, "second", trusting({"AWS": first}), "333333333333")
    refused(sts, second)
    session = as_session(world, "sts", sts.assume_role(RoleArn=first, RoleSessionName="s1")["Credentials"])
    chained = as_session(world, "sts", session.assume_role(RoleArn=second, RoleSessionName="s2")["Credentials"])
    assert identity(chained)["Arn"] == "arn:aws:sts::333333333333:assumed-role/second/s2"
    world.client("iam", account="333333333333").update_role(RoleName="second", MaxSessionDuration=7200)
    with pytest.raises(ClientError, match="1 hour session limit for roles assumed by role chaining"):
        session.assume_role(RoleArn=second, RoleSessionName="s2", DurationSeconds=7200)


def test_a_session_lasts_no_longer_than_its_role_allows(world: World, sts: Any) -> None:
    role = world.client("iam").create_role(RoleName="brief", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    with pytest.raises(ClientError, match="exceeds the MaxSessionDuration"):
        sts.assume_role(RoleArn=role, RoleSessionName="x1", DurationSeconds=7200)


def test_an_expired_session_is_told_so(world: World, sts: Any) -> None:
    key = sts.get_session_token(DurationSeconds=900)["Credentials"]["AccessKeyId"]
    world.run(world.clock.advance(901))
    with pytest.raises(ClientError, match="ExpiredToken"):
        identity(world.client("sts", account=key))


def test_other_operations_are_the_neighbours(world: World, sts: Any) -> None:
    token = sts.get_federation_token(Name="bob")["FederatedUser"]["Arn"]
    assert token == f"arn:aws:sts::{ACCOUNT}:federated-user/bob"
    client = world.client("sts")
    client.meta.events.register("before-call", lambda params, **_: params["body"].update(Action="DoSomethingElse"))
    with pytest.raises(ClientError, match="InvalidAction"):
        client.get_caller_identity()
