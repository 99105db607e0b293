"""The VPC of a function, as EC2 described it when somebody named its subnets and security groups."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Subnet:
    id: str
    cidr: str
    nat: bool = False
    """Its route table leads to a NAT gateway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    protocol: str
    """`tcp`, `udp`, `icmp`, a number, or `-1` for all."""
    ports: tuple[int, int] | None = None
    cidr: str | None = None
    group: str | None = None
    """Exactly one of the two."""


@dataclass(frozen=True, slots=True)
class SecurityGroup:
    id: str
    ingress: tuple[Rule, ...] = ()
    egress: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Vpc:
    id: str
    subnets: tuple[Subnet, ...]
    groups: tuple[SecurityGroup, ...]
