"""VPCs as the server keeps them; real ones are in tests/e2e/test_vpcs.py."""

from collections.abc import Sequence
from typing import cast

import pytest

from lambent.aws.errors import PlatformFault
from lambent.core.clock import SystemClock
from lambent.environments.networks.vpcs import Vpcs
from lambent.functions.vpc import Rule, SecurityGroup, Subnet, Vpc
from lambent.launcher.client import LauncherClient

ME = ("000000000000", "eu-west-1")


class Ec2:
    """Each look finds other rules."""

    looks = 0

    async def groups(
        self, groups: Sequence[str], *, account: str, region: str, principal: str
    ) -> tuple[SecurityGroup, ...]:
        self.looks += 1
        return tuple(
            SecurityGroup(name, (Rule(protocol="tcp", ports=(self.looks, self.looks), cidr="10.0.0.0/8"),), ())
            for name in groups
        )


class FullLauncher:
    vpcs_missing = None

    def vpc(self, rules: object) -> None:
        raise ValueError("a message of 200001 bytes is over the limit of 200000")


async def test_more_rules_than_can_be_sent_are_a_failure_of_their_vpc_alone() -> None:
    ec2 = Ec2()
    vpcs = Vpcs(cast(LauncherClient, FullLauncher()), ec2, SystemClock())
    vpc = Vpc("vpc-1", (Subnet("subnet-1", "10.0.1.0/24", nat=False),), (SecurityGroup("sg-1", (), ()),))
    with pytest.raises(PlatformFault, match="over the limit"):
        await vpcs.place_in(vpc, ME)
    await vpcs.look_again()
    assert ec2.looks == 2
