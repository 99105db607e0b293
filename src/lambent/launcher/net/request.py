"""What the supervisor may say of networks, checked before any of it becomes a rule or an interface."""

import re
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Literal, NamedTuple

from lambent.launcher.request import BadRequest

MOST_VPCS, MOST_SUBNETS, MOST_GROUPS, MOST_RULES, MOST_SERVICES = 256, 256, 512, 2000, 12
_VPC = re.compile(r"[0-9]{12}/[a-z0-9-]{1,32}/[a-zA-Z0-9-]{1,64}")
_GROUP = re.compile(r"[a-zA-Z0-9-]{1,64}")
_NAMED_PROTOCOLS = ("-1", "tcp", "udp", "icmp")


class Rule(NamedTuple):
    protocol: str
    """-1: all; tcp, udp, icmp or a number."""
    ports: tuple[int, int] | None
    cidr: str | None
    group: str | None
    """Exactly one of the two."""


class Group(NamedTuple):
    ingress: tuple[Rule, ...]
    egress: tuple[Rule, ...]


class Subnet(NamedTuple):
    cidr: str
    nat: bool


class Service(NamedTuple):
    host: str
    port: int
    security_groups: tuple[str, ...]


class Rules(NamedTuple):
    """All of a VPC."""

    vpc: str
    """Account, region and id."""
    subnets: tuple[Subnet, ...]
    groups: dict[str, Group]
    services: tuple[Service, ...]


class VpcPort(NamedTuple):
    vpc: str
    subnet: str
    groups: tuple[str, ...]


INTERNET = {"kind": "internet"}


def port(value: Any) -> VpcPort | Literal["internet", "none"]:
    """Where a sandbox is to be plugged in. Raises BadRequest."""
    kind = value.get("kind") if isinstance(value, dict) else None
    if kind == "internet":
        return "internet"
    if kind == "none":
        return "none"
    if kind != "vpc":
        raise BadRequest("a network is internet, vpc or none")
    groups = tuple(_text(each, _GROUP) for each in _list(value.get("groups"), 5))
    return VpcPort(_text(value.get("vpc"), _VPC), _network(value.get("subnet")), tuple(sorted(groups)))


def rules(message: dict[str, Any]) -> Rules:
    """Raises BadRequest."""
    groups = {
        _text(name, _GROUP): Group(
            tuple(_rule(each) for each in _list(sides.get("ingress"), MOST_RULES)),
            tuple(_rule(each) for each in _list(sides.get("egress"), MOST_RULES)),
        )
        for name, sides in _dict(message.get("groups"), MOST_GROUPS).items()
        if isinstance(sides, dict)
    }
    services = tuple(_service(each) for each in _list(message.get("services"), MOST_SERVICES))
    if any(group not in groups for each in services for group in each.security_groups):
        raise BadRequest("a service names a group that is not there")
    subnets = tuple(
        Subnet(_network(_dict(each, 8).get("cidr")), bool(each.get("nat")))
        for each in _list(message.get("subnets"), MOST_SUBNETS)
    )
    return Rules(_text(message.get("vpc"), _VPC), subnets, groups, services)


def _rule(value: Any) -> Rule:
    value = _dict(value, 8)
    protocol = str(value.get("protocol"))
    if protocol not in _NAMED_PROTOCOLS and not (protocol.isdecimal() and int(protocol) < 256):
        raise BadRequest(f"{protocol!r} is no protocol")
    ports = None
    if value.get("ports") is not None:
        first, last = (_port(each, 0) for each in _list(value["ports"], 2))
        if first > last:
            raise BadRequest("a range of ports begins with the lower one")
        ports = (first, last)
    cidr, group = value.get("cidr"), value.get("group")
    if (cidr is None) == (group is None):
        raise BadRequest("a rule is about a network or a group")
    return Rule(
        protocol, ports, None if cidr is None else _network(cidr), None if group is None else _text(group, _GROUP)
    )


def _service(value: Any) -> Service:
    value = _dict(value, 8)
    try:
        host = str(IPv4Address(value.get("host")))
    except ValueError:
        raise BadRequest(f"{value.get('host')!r} is no address") from None
    return Service(
        host,
        _port(value.get("port"), 1),
        tuple(_text(each, _GROUP) for each in _list(value.get("groups"), 5)),
    )


def _network(value: Any) -> str:
    try:
        return str(IPv4Network(value, strict=False))
    except (ValueError, TypeError):
        raise BadRequest(f"{value!r} is no network") from None


def _port(value: Any, least: int) -> int:
    if type(value) is not int or not least <= value <= 65535:
        raise BadRequest(f"{value!r} is no port")
    return value


def _text(value: Any, pattern: re.Pattern[str]) -> str:
    if not isinstance(value, str) or pattern.fullmatch(value) is None:
        raise BadRequest(f"{value!r} is no name")
    return value


def _list(value: Any, most: int) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > most:
        raise BadRequest(f"a list of at most {most} was expected")
    return value


def _dict(value: Any, most: int) -> dict[str, Any]:
    if not isinstance(value, dict) or len(value) > most:
        raise BadRequest(f"a table of at most {most} was expected")
    return value
