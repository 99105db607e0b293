"""The nftables rules of a VPC's router, as text. Pure; what is not allowed by both ends' security groups is refused.

A security group is a set of device groups (a device group stands for one subnet and set of security groups, as one
network interface of a function does on AWS) and, for services, a set of addresses. Answers are let through by their
connection, so rules name only who may begin.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from lambent.launcher.net.firewall import (
    COUNTED,
    DNS_PORT,
    REFUSE,
    TOO_MANY,
    UPLINK,
    chain,
    masquerade,
    named_set,
    questions,
    table,
)
from lambent.launcher.net.request import Rule, Rules, Service

_SENT, _TAKEN = 1, 2
"""Bits of the packet's mark: allowed by a group of the sender, of the receiver."""


class Members(NamedTuple):
    """A device group: who is in it."""

    group: int
    subnet: str
    security_groups: tuple[str, ...]


def script(rules: Rules, members: Sequence[Members], gateway: str) -> str:
    names = {group: number for number, group in enumerate(sorted(rules.groups))}
    open_subnets = {subnet.cidr for subnet in rules.subnets if subnet.nat}
    parts = [
        named_set("nat", "devgroup", [each.group for each in members if each.subnet in open_subnets]),
        named_set("services", "ipv4_addr . inet_service", [f"{each.host} . {each.port}" for each in rules.services]),
    ]
    parts += [COUNTED, *questions(gateway, "")]
    for group, number in names.items():
        parts.append(named_set(f"g{number}", "devgroup", [m.group for m in members if group in m.security_groups]))
        parts.append(
            named_set(f"a{number}", "ipv4_addr", sorted({s.host for s in rules.services if group in s.security_groups}))
        )
    parts.append(chain("refused", *REFUSE))
    for group, number in names.items():
        parts.append(chain(f"out{number}", *_matches(rules.groups[group].egress, names, "d", _SENT)))
        parts.append(chain(f"in{number}", *_matches(rules.groups[group].ingress, names, "s", _TAKEN)))
    parts.append(chain("sent", *_by_member(members, names, "iifgroup", "out")))
    parts.append(chain("taken", *_by_member(members, names, "oifgroup", "in")))
    parts.append(chain("served", *_by_service(rules.services, names)))
    parts.append(
        chain(
            "incoming",
            "type filter hook input priority filter; policy drop;",
            "ct state established,related accept",
            f"ip daddr {gateway} meta l4proto {{ tcp, udp }} th dport {DNS_PORT} accept",
            "meta mark set 0",
            "jump sent",
            f"meta mark & {_SENT} == 0 goto refused",
            f"{TOO_MANY} goto refused",
            "ip daddr . tcp dport @services jump served",
            "goto refused",
        )
    )
    parts.append(
        chain(
            "passing",
            "type filter hook forward priority filter; policy drop;",
            "ct state established,related accept",
            "ct state invalid drop",
            "meta mark set 0",
            f'iifname "{UPLINK}" drop',
            "jump sent",
            f"meta mark & {_SENT} == 0 goto refused",
            f"{TOO_MANY} goto refused",
            f'oifname "{UPLINK}" iifgroup @nat accept',
            f'oifname "{UPLINK}" goto refused',
            "jump taken",
            f"meta mark & {_TAKEN} == {_TAKEN} accept",
            "goto refused",
        )
    )
    parts.append(masquerade())
    return table(*parts)


def _by_member(members: Sequence[Members], names: Mapping[str, int], key: str, direction: str) -> Iterable[str]:
    for each in members:
        for group in each.security_groups:
            yield f"{key} {each.group} jump {direction}{names[group]}"


def _by_service(services: Sequence[Service], names: Mapping[str, int]) -> Iterable[str]:
    """A service without security groups lets in whoever is allowed to ask."""
    for each in services:
        match = f"ip daddr {each.host} tcp dport {each.port}"
        if not each.security_groups:
            yield f"{match} accept"
        for group in each.security_groups:
            yield f"{match} jump in{names[group]}"
    yield f"meta mark & {_TAKEN} == {_TAKEN} accept"


def _matches(rules: Sequence[Rule], names: Mapping[str, int], side: str, bit: int) -> Iterable[str]:
    verdict = f"meta mark set meta mark | {bit}"
    port = "iifgroup" if side == "s" else "oifgroup"
    for rule in rules:
        what = _what(rule)
        if rule.cidr is not None:
            yield f"ip {side}addr {rule.cidr} {what}{verdict}"
        elif rule.group is not None and rule.group in names:
            number = names[rule.group]
            yield f"{port} @g{number} {what}{verdict}"
            yield f"ip {side}addr @a{number} {what}{verdict}"


def _what(rule: Rule) -> str:
    if rule.protocol == "-1":
        return ""
    if rule.protocol in ("tcp", "udp"):
        first, last = rule.ports or (0, 65535)
        return f"{rule.protocol} dport {first}-{last} " if first != last else f"{rule.protocol} dport {first} "
    return f"ip protocol {rule.protocol} "
