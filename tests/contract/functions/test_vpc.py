"""VpcConfig (spec 1.3 and 2 section 3.8): resolved by EC2, told with the VPC, refused in the words of AWS."""

from typing import Any

import pytest
from botocore.exceptions import WaiterError

from lambent.aws.errors import ApiError
from lambent.aws.service import Parameters, Result
from lambent.functions.control_plane import ControlPlane
from lambent.functions.networks import Ec2
from lambent.functions.records import FunctionKey
from lambent.functions.vpc import Rule, Subnet
from lambent.testing.scripted_caller import ScriptedCaller
from tests.contract.functions.conftest import ACCOUNT, Lambda
from tests.unit.functions.conftest import creation

IPV = "InvalidParameterValueException"
CONFIG = {"SubnetIds": ["subnet-a"], "SecurityGroupIds": ["sg-a"]}
TOLD = CONFIG | {"VpcId": "vpc-1", "Ipv6AllowedForDualStack": False}
GONE: dict[str, list[str]] = {"SubnetIds": [], "SecurityGroupIds": []}
SUBNETS = {
    "subnet-a": ("vpc-1", "10.0.1.0/24"),
    "subnet-b": ("vpc-1", "10.0.2.0/24"),
    "subnet-z": ("vpc-9", "10.0.0.0/8"),
}
GROUPS = {"sg-a": "vpc-1", "sg-b": "vpc-1", "sg-z": "vpc-9"}
OPEN = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
SQL = {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "UserIdGroupPairs": [{"GroupId": "sg-b"}]}


def described_subnets(parameters: Parameters) -> Result:
    if missing := [each for each in parameters["SubnetIds"] if each not in SUBNETS]:
        raise ApiError("InvalidSubnetID.NotFound", f"The subnet ID '{missing[0]}' does not exist")
    found = [(each, *SUBNETS[each]) for each in parameters["SubnetIds"]]
    return {"Subnets": [{"SubnetId": name, "VpcId": vpc, "CidrBlock": cidr} for name, vpc, cidr in found]}


def described_groups(parameters: Parameters) -> Result:
    if missing := [each for each in parameters["GroupIds"] if each not in GROUPS]:
        raise ApiError("InvalidGroup.NotFound", f"The security group '{set(missing)}' does not exist")
    return {
        "SecurityGroups": [
            {"GroupId": each, "VpcId": GROUPS[each], "IpPermissions": [SQL], "IpPermissionsEgress": [OPEN]}
            for each in parameters["GroupIds"]
        ]
    }


def described_routes(_parameters: Parameters) -> Result:
    nat = [{"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "nat-1"}]
    return {
        "RouteTables": [
            {"Associations": [{"Main": True}], "Routes": [{"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-1"}]},
            {"Associations": [{"SubnetId": "subnet-b"}], "Routes": nat},
        ]
    }


@pytest.fixture
def neighbours() -> ScriptedCaller:
    return ScriptedCaller(
        {
            ("ec2", "DescribeSubnets"): described_subnets,
            ("ec2", "DescribeSecurityGroups"): described_groups,
            ("ec2", "DescribeRouteTables"): described_routes,
        }
    )


async def test_a_function_is_created_in_a_vpc(lambda_: Lambda, plane: ControlPlane, neighbours: ScriptedCaller) -> None:
    created = await lambda_.create(VpcConfig=CONFIG | {"SubnetIds": ["subnet-a", "subnet-b"]})
    assert created["State"] == "Pending"
    assert created["VpcConfig"] == TOLD | {"SubnetIds": ["subnet-a", "subnet-b"]}
    assert {(each.account, each.principal) for each in neighbours.asked} == {(ACCOUNT, "lambda.amazonaws.com")}
    function = plane.read_model.get(FunctionKey(ACCOUNT, "us-east-1", "f"))
    assert function is not None
    vpc = function.latest.vpc
    assert vpc is not None
    # A route to an internet gateway alone is no way out: a function has no public address.
    assert vpc.subnets == (Subnet("subnet-a", "10.0.1.0/24"), Subnet("subnet-b", "10.0.2.0/24", nat=True))
    assert vpc.groups[0].ingress == (Rule(protocol="tcp", ports=(5432, 5432), group="sg-b"),)
    assert vpc.groups[0].egress == (Rule(protocol="-1", cidr="0.0.0.0/0"),)


async def test_an_update_replaces_the_vpc_and_takes_a_function_out_of_it(lambda_: Lambda) -> None:
    await lambda_.created(VpcConfig=CONFIG)
    await lambda_.update_function_configuration(FunctionName="f", Timeout=5)
    assert (await lambda_.updated())["VpcConfig"] == TOLD
    await lambda_.update_function_configuration(FunctionName="f", VpcConfig=CONFIG | {"SubnetIds": ["subnet-b"]})
    assert (await lambda_.updated())["VpcConfig"]["SubnetIds"] == ["subnet-b"]
    await lambda_.update_function_configuration(FunctionName="f", VpcConfig=GONE)
    assert (await lambda_.updated())["VpcConfig"] == GONE | {"VpcId": "", "Ipv6AllowedForDualStack": False}


async def test_a_published_version_keeps_its_vpc(lambda_: Lambda) -> None:
    await lambda_.created(VpcConfig=CONFIG, Publish=True)
    await lambda_.update_function_configuration(FunctionName="f", VpcConfig=GONE)
    await lambda_.updated()
    version = await lambda_.get_function_configuration(FunctionName="f", Qualifier="1")
    assert version["VpcConfig"] == TOLD


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"SubnetIds": ["subnet-gone"]},
            "Error occurred while DescribeSubnets. EC2 Error Code: InvalidSubnetID.NotFound."
            " EC2 Error Message: The subnet ID 'subnet-gone' does not exist",
        ),
        (
            {"SecurityGroupIds": ["sg-gone"]},
            "Error occurred while DescribeSecurityGroups. EC2 Error Code: InvalidGroup.NotFound."
            " EC2 Error Message: The security group 'sg-gone' does not exist",
        ),
        ({"SubnetIds": ["subnet-a", "subnet-z"]}, "Subnets are required to be in the same VPC."),
        ({"SecurityGroupIds": ["sg-a", "sg-z"]}, "Security Groups are required to be in the same VPC."),
        ({"SecurityGroupIds": []}, "SubnetIds and SecurityIds must coexist or be both empty list."),
        ({"SubnetIds": []}, "SubnetIds and SecurityIds must coexist or be both empty list."),
        (
            {"Ipv6AllowedForDualStack": True},
            "VpcConfig.Ipv6AllowedForDualStack is not supported by Lambent yet.",
        ),
    ],
)
async def test_what_ec2_does_not_have_is_refused_in_the_words_of_aws(
    lambda_: Lambda, config: dict[str, Any], message: str
) -> None:
    await lambda_.created("there")
    assert await lambda_.refused("create_function", **creation("f"), VpcConfig=CONFIG | config) == (400, IPV, message)
    sent = {"FunctionName": "there", "VpcConfig": CONFIG | config}
    assert await lambda_.refused("update_function_configuration", **sent) == (400, IPV, message)
    assert "VpcConfig" not in await lambda_.get_function_configuration(FunctionName="there")


async def test_a_machine_without_networks_says_so_in_the_state_and_the_log(
    lambda_: Lambda, ec2: Ec2, caplog: pytest.LogCaptureFixture
) -> None:
    ec2.problem = "This server cannot put functions into a VPC: nft is missing (package nftables)."
    await lambda_.create(VpcConfig=CONFIG)
    with pytest.raises(WaiterError):
        await lambda_.wait("function_active_v2", FunctionName="f")
    found = await lambda_.get_function_configuration(FunctionName="f")
    assert (found["State"], found["StateReasonCode"]) == ("Failed", "InvalidConfiguration")
    assert found["StateReason"] == ec2.problem
    assert f"{found['FunctionArn']}:$LATEST cannot run: {ec2.problem}" in caplog.text
