"""The VPC of a function, as EC2 described it when somebody named its subnets and security groups."""

from msgspec import Struct


class Subnet(Struct, frozen=True):
    id: str
    cidr: str
    nat: bool = False
    """Its route table leads to a NAT gateway."""


class Rule(Struct, frozen=True, kw_only=True):
    protocol: str
    """`tcp`, `udp`, `icmp`, a number, or `-1` for all."""
    ports: tuple[int, int] | None = None
    cidr: str | None = None
    group: str | None = None
    """Exactly one of the two."""


class SecurityGroup(Struct, frozen=True):
    id: str
    ingress: tuple[Rule, ...] = ()
    egress: tuple[Rule, ...] = ()


class Vpc(Struct, frozen=True):
    id: str
    subnets: tuple[Subnet, ...]
    groups: tuple[SecurityGroup, ...]
