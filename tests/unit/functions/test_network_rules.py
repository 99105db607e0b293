"""Security groups of EC2 as rules."""

from lambent.functions.networks import rules_of
from lambent.functions.vpc import Rule

ANYWHERE = [{"CidrIp": "0.0.0.0/0"}]


def test_a_protocol_by_its_number_keeps_its_ports() -> None:
    """Without them it would open all ports."""
    sent = [{"IpProtocol": number, "FromPort": 7000, "ToPort": 7001, "IpRanges": ANYWHERE} for number in ("6", "17")]
    ports = (7000, 7001)
    assert rules_of(sent) == [Rule(protocol=name, ports=ports, cidr="0.0.0.0/0") for name in ("tcp", "udp")]


def test_a_protocol_that_means_nothing_here_is_no_rule() -> None:
    """The launcher would refuse all rules of the VPC for it."""
    sent = [{"IpProtocol": name, "IpRanges": ANYWHERE} for name in ("icmpv6", "x", "TCP", "50", "-1", "999")]
    assert [each.protocol for each in rules_of(sent)] == ["tcp", "50", "-1"]
