"""The VPC of a function: subnets and security groups as EC2 described them when somebody named them.

They are kept with the version, because the EC2 beside this server forgets at a restart. Owns AWS's texts for what
cannot be had; how packets flow is the business of `environments.networks`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lambent.aws.caller import Caller
from lambent.aws.errors import ApiError, invalid_parameter, not_built
from lambent.aws.service import Parameters
from lambent.functions.ports import Refusal
from lambent.functions.vpc import Rule, SecurityGroup, Subnet, Vpc

_ANY_NETWORK = "0.0.0.0/0"


class Networks(Protocol):
    """Where subnets and security groups are known, and whether this machine can make them true."""

    async def resolve(
        self, subnets: Sequence[str], groups: Sequence[str], *, account: str, region: str, principal: str
    ) -> Vpc:
        """Raises `ApiError` in the words of Lambda."""
        ...

    def refusal(self) -> Refusal | None:
        """Why no function here can be in a VPC; None: it can."""
        ...


@dataclass(frozen=True, slots=True)
class NoVpc:
    """This machine cannot put functions into VPCs."""

    reason: str
    code: str = "InvalidConfiguration"


class NoNetworks:
    """For a server without neighbours."""

    async def resolve(
        self, subnets: Sequence[str], groups: Sequence[str], *, account: str, region: str, principal: str
    ) -> Vpc:
        raise not_built("DescribeSubnets", "VpcConfig")

    def refusal(self) -> Refusal | None:
        return None


async def wanted(
    networks: Networks, parameters: Parameters, *, account: str, region: str, principal: str
) -> Vpc | None:
    """What the VpcConfig of a request asks for; None without one, and for one that asks for none."""
    config = parameters.get("VpcConfig") or {}
    subnets, groups = config.get("SubnetIds") or (), config.get("SecurityGroupIds") or ()
    if bool(subnets) != bool(groups):
        raise invalid_parameter("SubnetIds and SecurityIds must coexist or be both empty list.")
    if not subnets:
        return None
    return await networks.resolve(
        list(dict.fromkeys(subnets)), list(dict.fromkeys(groups)), account=account, region=region, principal=principal
    )


class Ec2:
    """EC2 as the server's callers see it."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self.problem: str | None = None
        """Why no function here can be in a VPC."""

    def refusal(self) -> Refusal | None:
        return None if self.problem is None else NoVpc(self.problem)

    async def resolve(
        self, subnets: Sequence[str], groups: Sequence[str], *, account: str, region: str, principal: str
    ) -> Vpc:
        scope = {"account": account, "region": region, "principal": principal}
        found = await self._ask("DescribeSubnets", {"SubnetIds": list(subnets)}, scope)
        described = {each["SubnetId"]: each for each in found["Subnets"]}
        vpcs = {each["VpcId"] for each in described.values()}
        if len(vpcs) != 1:
            raise invalid_parameter("Subnets are required to be in the same VPC.")
        vpc_id = vpcs.pop()
        members = await self.groups(groups, account=account, region=region, principal=principal, vpc_id=vpc_id)
        nat = await self._with_nat(vpc_id, subnets, scope)
        networks = tuple(Subnet(each, described[each]["CidrBlock"], each in nat) for each in subnets)
        return Vpc(vpc_id, networks, members)

    async def groups(
        self, groups: Sequence[str], *, account: str, region: str, principal: str, vpc_id: str | None = None
    ) -> tuple[SecurityGroup, ...]:
        """As they are now. Raises `ApiError`."""
        scope = {"account": account, "region": region, "principal": principal}
        found = (await self._ask("DescribeSecurityGroups", {"GroupIds": list(groups)}, scope))["SecurityGroups"]
        if vpc_id is not None and any(each.get("VpcId") != vpc_id for each in found):
            raise invalid_parameter("Security Groups are required to be in the same VPC.")
        return tuple(
            SecurityGroup(
                each["GroupId"],
                tuple(rules_of(each.get("IpPermissions") or ())),
                tuple(rules_of(each.get("IpPermissionsEgress") or ())),
            )
            for each in sorted(found, key=lambda each: groups.index(each["GroupId"]))
        )

    async def _with_nat(self, vpc_id: str, subnets: Sequence[str], scope: Mapping[str, Any]) -> set[str]:
        """The subnets whose default route is a NAT gateway."""
        asked = {"Filters": [{"Name": "vpc-id", "Values": [vpc_id]}]}
        tables = (await self._ask("DescribeRouteTables", asked, scope)).get("RouteTables") or ()
        main, own = False, dict[str, bool]()
        for table in tables:
            open_ = any(
                route.get("DestinationCidrBlock") == _ANY_NETWORK and route.get("NatGatewayId")
                for route in table.get("Routes") or ()
            )
            for association in table.get("Associations") or ():
                if association.get("Main"):
                    main = open_
                elif subnet := association.get("SubnetId"):
                    own[subnet] = open_
        return {each for each in subnets if own.get(each, main)}

    async def _ask(self, operation: str, parameters: Parameters, scope: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            return await self._caller.call("ec2", operation, parameters, **scope)
        except ApiError as error:
            if error.code == "NotImplementedException":
                raise
            raise invalid_parameter(
                f"Error occurred while {operation}. EC2 Error Code: {error.code}. EC2 Error Message: {_said(error)}"
            ) from error


def _said(error: ApiError) -> str:
    """The message of AWS where moto's names a set of groups."""
    message = error.message or ""
    named = re.search(r"sg-[0-9a-zA-Z]+", message)
    if error.code == "InvalidGroup.NotFound" and named is not None:
        return f"The security group '{named[0]}' does not exist"
    return message


_NAMES_OF_PROTOCOLS = {"1": "icmp", "6": "tcp", "17": "udp"}
"""Only by their names do the rules have ports."""


def rules_of(permissions: Sequence[Mapping[str, Any]]) -> list[Rule]:
    """EC2's IpPermissions, one rule for each peer. Those of IPv6 and of prefix lists mean nothing
    here, nor do protocols that IPv4 does not know."""
    rules: list[Rule] = []
    for each in permissions:
        protocol = str(each.get("IpProtocol", "-1")).lower()
        protocol = _NAMES_OF_PROTOCOLS.get(protocol, protocol)
        if protocol not in ("-1", *_NAMES_OF_PROTOCOLS.values()) and not _is_number(protocol):
            continue
        ports = _ports(protocol, each.get("FromPort"), each.get("ToPort"))
        cidrs = [peer["CidrIp"] for peer in each.get("IpRanges") or ()]
        groups = [peer["GroupId"] for peer in each.get("UserIdGroupPairs") or () if peer.get("GroupId")]
        rules += [Rule(protocol=protocol, ports=ports, cidr=cidr) for cidr in cidrs]
        rules += [Rule(protocol=protocol, ports=ports, group=group) for group in groups]
    return rules


def _is_number(protocol: str) -> bool:
    return protocol.isascii() and protocol.isdecimal() and int(protocol) <= 255


def _ports(protocol: str, first: int | None, last: int | None) -> tuple[int, int] | None:
    if protocol not in ("tcp", "udp") or first is None or first == -1:
        return None
    return first, first if last is None or last == -1 else last
