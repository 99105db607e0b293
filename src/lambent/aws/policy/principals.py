"""Who asks, and whom a statement means: users, roles, sessions, accounts, services, strangers."""

import re
from dataclasses import dataclass
from typing import Final

_ROLE: Final = re.compile(r"arn:(?P<partition>[^:]+):iam::(?P<account>\d{12}):role/(?:.*/)?(?P<name>[^/]+)")
_SESSION: Final = re.compile(
    r"arn:(?P<partition>[^:]+):sts::(?P<account>\d{12}):assumed-role/(?P<name>[^/]+)/(?P<session>.+)"
)
_ACCOUNT: Final = re.compile(r"(?:arn:[^:]+:(?:iam|sts)::)?(?P<account>\d{12})(?::.+)?")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: (`AWS`, ARN of a user, role, session or account root), (`Service`, `s3.amazonaws.com`),
    (`Federated`, provider), or (`Anonymous`, "")."""

    kind: str
    name: str

    @classmethod
    def of_arn(cls, arn: str) -> "Principal":
        return cls("AWS", arn)

    @classmethod
    def of_service(cls, name: str) -> "Principal":
        return cls("Service", name)

    @property
    def account(self) -> str | None:
        """None for services and strangers."""
        found = _ACCOUNT.fullmatch(self.name) if self.kind == "AWS" else None
        return None if found is None else found["account"]

    @property
    def role_arn(self) -> str | None:
        """Of a session: its role, without the path, which a session does not tell."""
        found = _SESSION.fullmatch(self.name) if self.kind == "AWS" else None
        return None if found is None else f"arn:{found['partition']}:iam::{found['account']}:role/{found['name']}"


ANONYMOUS: Final = Principal("Anonymous", "")


@dataclass(frozen=True, slots=True)
class NamedPrincipals:
    values: tuple[tuple[str, str], ...]
    negated: bool


def is_principal_arn(text: str) -> bool:
    """Whether a statement may name it under `AWS`: an account or something of IAM or STS in one."""
    return _ACCOUNT.fullmatch(text) is not None


def is_by(named: NamedPrincipals, principal: Principal) -> bool:
    found = any(_is_principal(kind, value, principal) for kind, value in named.values)
    return found is not named.negated


def _is_principal(kind: str, value: str, principal: Principal) -> bool:
    if value == "*":
        # Also services come under {"AWS": "*"}; older policies of topics and queues rely on that.
        return kind in ("*", "AWS", principal.kind)
    if kind != principal.kind:
        return False
    if value == principal.name:
        return True
    account = principal.account
    if account is None:
        return False
    if value == account or re.fullmatch(rf"arn:[^:]+:iam::{account}:root", value):
        return True
    role = _ROLE.fullmatch(value)
    session = _SESSION.fullmatch(principal.name)
    return bool(role and session and (role["account"], role["name"]) == (session["account"], session["name"]))
