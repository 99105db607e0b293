"""The nftables rules of router namespaces, as text for `nft -f -`. Pure, and deny by default.

Interfaces are known by their device group, so that a sandbox comes and goes without a change of rules. What is refused
is answered at once (a reset, an ICMP message) instead of left to time out, but where AWS leaves it to time out.
Addresses and numbers in here were checked by `request` or made by us.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

SANDBOXES, ROUTERS, UPLINK = 1, 2, "uplink"
"""Device groups in the internet's router: ports of sandboxes, and of routers of VPCs that may use it; its way out."""
DNS_PORT = 53
MAIL_PORT = 25
"""Refused as on AWS, which lets no function send mail by itself."""
_CONNECTIONS = 1024
"""Of one sandbox at one time."""
_QUESTIONS = 1024
"""Packets of one sandbox to its resolver, as on AWS."""
_TABLE = "lambent"

NEVER_PUBLIC = tuple(
    map(
        IPv4Network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
            *("192.0.0.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/3"),
        ),
    )
)
"""Private, link-local (the metadata services of clouds among them), carrier's, multicast and reserved addresses."""

COUNTED = "set connections { type ipv4_addr; size 65535; flags dynamic; }"
TOO_MANY = f"add @connections {{ ip saddr ct count over {_CONNECTIONS} }}"
"""Of a router of a VPC each sandbox is counted there, since here they have one address together."""

REFUSE = ("meta l4proto tcp reject with tcp reset", "reject with icmp admin-prohibited")


def internet(gateway: str, allowed: Iterable[IPv4Network], host: Iterable[IPv4Address]) -> str:
    """Of the router between sandboxes and the internet. `allowed` is let through although it is private; an address of
    the host itself only where it is allowed alone.
    """
    ranges = list(allowed)
    exact = {net.network_address for net in ranges if net.prefixlen == 32}
    return table(
        named_set("private", "ipv4_addr", NEVER_PUBLIC, "interval"),
        named_set("allowed", "ipv4_addr", _merged(ranges), "interval"),
        named_set("host", "ipv4_addr", (str(each) for each in sorted(set(host) - exact))),
        COUNTED,
        *questions(gateway, f"iifgroup {{ {SANDBOXES}, {ROUTERS} }} "),
        chain(
            "incoming",
            "type filter hook input priority filter; policy drop;",
            "ct state established,related accept",
            f"iifgroup {{ {SANDBOXES}, {ROUTERS} }} ip daddr {gateway} udp dport {DNS_PORT} accept",
            f"iifgroup {{ {SANDBOXES}, {ROUTERS} }} ip daddr {gateway} tcp dport {DNS_PORT} accept",
            f"iifgroup {{ {SANDBOXES}, {ROUTERS} }} jump refused",
        ),
        chain(
            "refused",
            *REFUSE,
        ),
        chain(
            "counted",
            f"iifgroup {SANDBOXES} {TOO_MANY} goto refused",
            "accept",
        ),
        chain(
            "passing",
            "type filter hook forward priority filter; policy drop;",
            "ct state established,related accept",
            "ct state invalid drop",
            f"iifgroup != {{ {SANDBOXES}, {ROUTERS} }} drop",
            f'oifname != "{UPLINK}" goto refused',
            "ip daddr @host goto refused",
            "meta l4proto { tcp, udp } ip daddr @allowed goto counted",
            "ip daddr @private goto refused",
            f"tcp dport {MAIL_PORT} goto refused",
            "meta l4proto { tcp, udp } goto counted",
            "goto refused",
        ),
        masquerade(),
    )


def host_addresses(allowed: Iterable[IPv4Network], host: Iterable[IPv4Address]) -> str:
    """The same set again, when the addresses of the host have changed."""
    exact = {net.network_address for net in allowed if net.prefixlen == 32}
    elements = ", ".join(str(each) for each in sorted(set(host) - exact))
    add = f"add element inet {_TABLE} host {{ {elements} }}\n" if elements else ""
    return f"flush set inet {_TABLE} host\n{add}"


def _merged(ranges: Iterable[IPv4Network]) -> list[IPv4Network]:
    """Intervals of a set may not overlap."""
    kept: list[IPv4Network] = []
    for net in sorted(set(ranges), key=lambda each: each.prefixlen):
        if not any(net.subnet_of(other) for other in kept):
            kept.append(net)
    return kept


def table(*parts: str) -> str:
    # Declared, deleted, declared: the one way to replace it in a single transaction.
    body = "\n".join(parts)
    return f"table inet {_TABLE} {{ }}\ndelete table inet {_TABLE}\ntable inet {_TABLE} {{\n{body}\n}}\n"


def named_set(name: str, kind: str, elements: Iterable[object], flags: str = "") -> str:
    listed = ", ".join(map(str, elements))
    with_flags = f"flags {flags}; " if flags else ""
    return f"set {name} {{ type {kind}; {with_flags}{f'elements = {{ {listed} }}; ' if listed else ''}}}"


def chain(name: str, *rules: str) -> str:
    return f"chain {name} {{\n" + "\n".join(rules) + "\n}"


def questions(gateway: str, source: str) -> tuple[str, ...]:
    """Questions to the resolver of the router: a bounded number of them, and none is a connection, whose number the
    kernel limits for all."""
    question = f"ip daddr {gateway} meta l4proto {{ tcp, udp }} th dport {DNS_PORT}"
    rate = f"{_QUESTIONS}/second burst {_QUESTIONS} packets"
    answer = f"ip saddr {gateway} meta l4proto {{ tcp, udp }} th sport {DNS_PORT}"
    return (
        "set asking { type ipv4_addr; size 65535; flags dynamic; }",
        chain(
            "questions",
            "type filter hook prerouting priority raw;",
            f"{source}{question} add @asking {{ ip saddr limit rate over {rate} }} drop",
            f"{source}{question} notrack",
        ),
        chain("answers", "type filter hook output priority raw;", f"{answer} notrack"),
    )


def masquerade() -> str:
    return chain("leaving", "type nat hook postrouting priority srcnat;", f'oifname "{UPLINK}" masquerade')
