"""Addresses, requests and rules of networks, without a kernel."""

from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from lambent.launcher.net import firewall, vpc_rules
from lambent.launcher.net import request as network_request
from lambent.launcher.net.request import Group, Rule, Rules, Service, Subnet, VpcPort
from lambent.launcher.net.router import Addresses
from lambent.launcher.net.vpc_rules import Members
from lambent.launcher.request import BadRequest


def test_an_address_that_was_given_back_is_used_again_last() -> None:
    pool = Addresses(IPv4Network("10.0.0.0/29"), reserved_below=4, reserved_above=1)
    first = pool.take()
    assert first == IPv4Address("10.0.0.4")
    pool.give_back(first)
    assert [str(pool.take()) for _ in range(3)] == ["10.0.0.5", "10.0.0.6", "10.0.0.4"]
    assert pool.take() is None


def test_a_reserved_address_is_never_given() -> None:
    pool = Addresses(IPv4Network("10.0.0.0/29"), reserved_below=4, reserved_above=1)
    pool.reserve(IPv4Address("10.0.0.5"))
    assert [str(pool.take()) for _ in range(3)] == ["10.0.0.4", "10.0.0.6", "None"]


def test_an_address_of_the_host_is_opened_only_by_itself() -> None:
    host = [IPv4Address("192.168.1.5"), IPv4Address("192.168.1.6")]
    allowed = [IPv4Network("192.168.1.0/24"), IPv4Network("192.168.1.5/32")]
    text = firewall.internet("169.254.64.1", allowed, host)
    assert "set host { type ipv4_addr; elements = { 192.168.1.6 }; }" in text
    # Intervals that overlap would be refused by nft.
    assert "set allowed { type ipv4_addr; flags interval; elements = { 192.168.1.0/24 }; }" in text
    assert "elements = { 192.168.1.6 }" not in firewall.host_addresses(allowed, host[:1])


RULES: dict[str, Any] = {
    "vpc": "000000000000/eu-west-1/vpc-1",
    "subnets": [{"cidr": "10.0.1.0/24", "nat": True}],
    "groups": {"sg-1": {"ingress": [{"protocol": "tcp", "ports": [80, 90], "group": "sg-1"}], "egress": []}},
    "services": [{"host": "10.0.1.10", "port": 5432, "groups": []}],
}


def test_rules_are_read() -> None:
    assert network_request.rules(RULES) == Rules(
        "000000000000/eu-west-1/vpc-1",
        (Subnet("10.0.1.0/24", True),),
        {"sg-1": Group((Rule("tcp", (80, 90), None, "sg-1"),), ())},
        (Service("10.0.1.10", 5432, ()),),
    )


@pytest.mark.parametrize(
    "change",
    [
        {"vpc": "vpc-1"},
        {"vpc": "000000000000/eu-west-1/vpc-1 }"},
        {"subnets": [{"cidr": "10.0.1.0/24; drop"}]},
        {"subnets": ["10.0.1.0/24"]},
        {"groups": {"sg 1": {}}},
        {"groups": {"sg-1": {"ingress": [{"protocol": "tcp drop", "cidr": "10.0.0.0/8"}]}}},
        {"groups": {"sg-1": {"ingress": [{"protocol": "tcp", "ports": [90, 80], "cidr": "10.0.0.0/8"}]}}},
        {"groups": {"sg-1": {"ingress": [{"protocol": "tcp", "ports": ["1", 80], "cidr": "10.0.0.0/8"}]}}},
        {"groups": {"sg-1": {"ingress": [{"protocol": "tcp"}]}}},
        {"groups": {"sg-1": {"ingress": [{"protocol": "tcp", "cidr": "10.0.0.0/8", "group": "sg-1"}]}}},
        {"services": [{"host": "10.0.1.10", "port": 0}]},
        {"services": [{"host": "db", "port": 1}]},
        {"services": [{"host": "10.0.1.10", "port": 1, "groups": ["sg-9"]}]},
        {"services": [{"host": "10.0.1.10", "port": 1}] * 13},
    ],
)
def test_what_is_no_rule_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        network_request.rules(RULES | change)


@pytest.mark.parametrize(
    "place", [None, {}, {"kind": "host"}, {"kind": "vpc"}, {"kind": "vpc", "vpc": "a/b/c", "subnet": "10.0.0.0/8"}]
)
def test_what_is_no_network_is_refused(place: Any) -> None:
    with pytest.raises(BadRequest):
        network_request.port(place)


def test_a_place_in_a_vpc_is_the_same_in_any_order_of_its_groups() -> None:
    place = {"kind": "vpc", "vpc": "000000000000/eu-west-1/vpc-1", "subnet": "10.0.1.0/24", "groups": ["b", "a"]}
    assert network_request.port(place) == VpcPort("000000000000/eu-west-1/vpc-1", "10.0.1.0/24", ("a", "b"))
    assert network_request.port({"kind": "internet"}) == "internet"


def test_only_subnets_with_nat_have_the_way_out() -> None:
    rules = Rules("v", (Subnet("10.0.1.0/24", True), Subnet("10.0.2.0/24", False)), {"g": Group((), ())}, ())
    members = [Members(10, "10.0.1.0/24", ("g",)), Members(11, "10.0.2.0/24", ("g",))]
    text = vpc_rules.script(rules, members, "169.254.64.1")
    assert "set nat { type devgroup; elements = { 10 }; }" in text
    assert "set g0 { type devgroup; elements = { 10, 11 }; }" in text


def test_questions_of_names_are_no_connections_which_all_share() -> None:
    vpc = vpc_rules.script(network_request.rules(RULES), [], "169.254.64.1")
    for text in (firewall.internet("169.254.64.1", [], []), vpc):
        asked = next(line for line in text.splitlines() if line.endswith("notrack") and "dport 53" in line)
        assert "ip daddr 169.254.64.1" in asked
        assert "th sport 53 notrack" in text
        assert "add @asking { ip saddr limit rate over 1024/second burst 1024 packets } drop" in text
