"""IAM's journal does again what was done: the same state after any writes, from a bounded number of them."""

import json
import os
import random
import signal
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.neighbours.conftest import World

ALLOWED = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
MANAGED = ("arn:aws:iam::aws:policy/ReadOnlyAccess", "arn:aws:iam::aws:policy/PowerUserAccess")
ACCOUNTS = [f"{number:012}" for number in range(1, 9)]
STEPS = 150


def policy(number: int) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{**ALLOWED, "Resource": f"arn:aws:s3:::b{number}"}]})


def trust(number: int) -> str:
    statement = {"Effect": "Allow", "Principal": {"AWS": f"{number:012}"}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
def fresh(world: World) -> Iterator[World]:
    yield world
    world.run(world.neighbours.reset())


def ended(world: World) -> None:
    (pid,) = world.neighbours.processes()
    os.kill(pid, signal.SIGKILL)
    while world.neighbours.processes():
        world.run(nothing())


async def nothing() -> None:
    return None


def state(iam: Any) -> Any:
    """All that can be read, in an order of its own."""
    details = iam.get_account_authorization_details(Filter=["User", "Role", "Group", "LocalManagedPolicy"])
    details.pop("ResponseMetadata")
    for found in details.get("Policies", []):
        found.pop("AttachmentCount")
    for user in iam.list_users()["Users"]:
        name = user["UserName"]
        details[f"keys of {name}"] = iam.list_access_keys(UserName=name)["AccessKeyMetadata"]
        details[f"tags of {name}"] = iam.list_user_tags(UserName=name)["Tags"]
        with suppress(ClientError):
            details[f"login of {name}"] = iam.get_login_profile(UserName=name)["LoginProfile"]["UserName"]
    for role in iam.list_roles()["Roles"]:
        details[f"role {role['RoleName']}"] = iam.get_role(RoleName=role["RoleName"])["Role"]
    for provider in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]:
        found = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=provider["Arn"])
        found.pop("ResponseMetadata")
        details[provider["Arn"]] = found
    return in_order(details)


def in_order(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: in_order(each) for name, each in sorted(value.items())}
    return sorted(map(in_order, value), key=repr) if isinstance(value, list) else value


def step(iam: Any, account: str, source: random.Random) -> None:
    """One write of any kind; many are refused."""
    role, user, group, number = source.choice("rs"), source.choice("uv"), source.choice("gh"), source.randrange(4)
    own = f"arn:aws:iam::{account}:policy/own"
    provider = f"arn:aws:iam::{account}:oidc-provider/example.com"
    tags = [{"Key": key, "Value": str(number)} for key in source.sample("abc", source.randrange(1, 4))]
    keys = source.sample("abc", source.randrange(1, 3))
    arn = source.choice((*MANAGED, own))
    doing: Any = source.choice(
        (
            lambda: iam.create_role(RoleName=role, AssumeRolePolicyDocument=trust(number), Tags=tags),
            lambda: iam.create_role(RoleName=role, AssumeRolePolicyDocument=trust(number), PermissionsBoundary=arn),
            lambda: iam.update_assume_role_policy(RoleName=role, PolicyDocument=trust(number)),
            lambda: iam.update_role(RoleName=role, Description=str(number), MaxSessionDuration=3600 + number),
            lambda: iam.update_role_description(RoleName=role, Description=f"d{number}"),
            lambda: iam.put_role_policy(RoleName=role, PolicyName=f"p{number % 2}", PolicyDocument=policy(number)),
            lambda: iam.delete_role_policy(RoleName=role, PolicyName=f"p{number % 2}"),
            lambda: iam.attach_role_policy(RoleName=role, PolicyArn=arn),
            lambda: iam.detach_role_policy(RoleName=role, PolicyArn=arn),
            lambda: iam.tag_role(RoleName=role, Tags=tags),
            lambda: iam.untag_role(RoleName=role, TagKeys=keys),
            lambda: iam.put_role_permissions_boundary(RoleName=role, PermissionsBoundary=arn),
            lambda: iam.delete_role_permissions_boundary(RoleName=role),
            lambda: iam.delete_role(RoleName=role),
            lambda: iam.create_user(UserName=user, Tags=tags),
            lambda: iam.tag_user(UserName=user, Tags=tags),
            lambda: iam.untag_user(UserName=user, TagKeys=keys),
            lambda: iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=policy(number)),
            lambda: iam.delete_user_policy(UserName=user, PolicyName="p"),
            lambda: iam.create_login_profile(UserName=user, Password="Secret-1234"),
            lambda: iam.update_login_profile(UserName=user, Password="Secret-5678"),
            lambda: iam.delete_login_profile(UserName=user),
            lambda: iam.create_access_key(UserName=user),
            lambda: iam.update_user(UserName=user, NewUserName=source.choice("uvw")),
            lambda: iam.create_group(GroupName=group),
            lambda: iam.put_group_policy(GroupName=group, PolicyName="p", PolicyDocument=policy(number)),
            lambda: iam.create_policy(PolicyName="own", PolicyDocument=policy(number)),
            lambda: iam.create_policy_version(PolicyArn=own, PolicyDocument=policy(number), SetAsDefault=number == 0),
            lambda: iam.delete_policy_version(PolicyArn=own, VersionId=f"v{source.randrange(1, 9)}"),
            lambda: iam.create_open_id_connect_provider(
                Url="https://example.com", ThumbprintList=["0" * 40], ClientIDList=["first"]
            ),
            lambda: iam.update_open_id_connect_provider_thumbprint(
                OpenIDConnectProviderArn=provider, ThumbprintList=[str(number) * 40]
            ),
            lambda: iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=provider),
        )
    )
    with suppress(ClientError):
        doing()


@pytest.mark.timeout(240)
def test_what_is_done_again_gives_the_same_state(fresh: World) -> None:
    clients = {account: fresh.client("iam", account=account) for account in ACCOUNTS}
    for account, iam in clients.items():
        source = random.Random(account)
        for _ in range(STEPS):
            step(iam, account, source)
    before = {account: state(iam) for account, iam in clients.items()}
    print(f"{fresh.neighbours.kept_writes()} writes kept of {len(ACCOUNTS) * STEPS} requests")
    ended(fresh)
    for account, iam in clients.items():
        assert state(iam) == before[account], account


def test_hundreds_of_changes_of_the_same_things_leave_a_few_writes(fresh: World) -> None:
    iam = fresh.client("iam")
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust(1), Tags=[{"Key": "a", "Value": "0"}])
    iam.create_user(UserName="u")
    own = iam.create_policy(PolicyName="own", PolicyDocument=policy(1))["Policy"]["Arn"]
    for number in range(30):
        iam.update_assume_role_policy(RoleName="r", PolicyDocument=trust(number))
        iam.update_role(RoleName="r", Description=str(number))
        iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=policy(number))
        iam.attach_role_policy(RoleName="r", PolicyArn=own)
        iam.detach_role_policy(RoleName="r", PolicyArn=own)
        iam.tag_role(RoleName="r", Tags=[{"Key": "a", "Value": str(number)}, {"Key": f"b{number}", "Value": "1"}])
        iam.untag_role(RoleName="r", TagKeys=[f"b{number}"])
        version = iam.create_policy_version(PolicyArn=own, PolicyDocument=policy(number), SetAsDefault=True)
        version_id = version["PolicyVersion"]["VersionId"]
        iam.set_default_policy_version(PolicyArn=own, VersionId="v1")
        iam.delete_policy_version(PolicyArn=own, VersionId=version_id)
        iam.create_login_profile(UserName="u", Password="Secret-1234")
        iam.update_login_profile(UserName="u", Password="Secret-5678")
        iam.delete_login_profile(UserName="u")
        saml = iam.create_saml_provider(Name="s", SAMLMetadataDocument="x" * 1000)["SAMLProviderArn"]
        iam.update_saml_provider(SAMLProviderArn=saml, SAMLMetadataDocument="y" * 1000)
        iam.delete_saml_provider(SAMLProviderArn=saml)
        iam.upload_server_certificate(ServerCertificateName="c", CertificateBody="b", PrivateKey="k")
        iam.delete_server_certificate(ServerCertificateName="c")
    assert fresh.neighbours.kept_writes() < 20
    before = state(iam)
    ended(fresh)
    assert state(iam) == before
    again = iam.create_policy_version(PolicyArn=own, PolicyDocument=policy(1))["PolicyVersion"]["VersionId"]
    assert again == f"v{int(version_id[1:]) + 1}"


def test_no_secret_of_iam_is_readable_in_the_database(fresh: World) -> None:
    iam = fresh.client("iam", account=ACCOUNTS[0])
    iam.create_user(UserName="secretive")
    key = iam.create_access_key(UserName="secretive")["AccessKey"]
    iam.create_login_profile(UserName="secretive", Password="Hidden-1234")
    files = [fresh.root / name for name in ("lambent.db", "lambent.db-wal")]
    stored = b"".join(file.read_bytes() for file in files if file.exists())
    assert ACCOUNTS[0].encode() in stored
    for secret in (key["SecretAccessKey"], key["AccessKeyId"], "Hidden-1234", "CreateLoginProfile", '"seed"'):
        assert secret.encode() not in stored
    ended(fresh)
    assert iam.list_access_keys(UserName="secretive")["AccessKeyMetadata"][0]["AccessKeyId"] == key["AccessKeyId"]
    assert iam.get_login_profile(UserName="secretive")["LoginProfile"]["UserName"] == "secretive"
