"""Access keys that are more than an account number: of users, of assumed roles, of functions' sessions."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Secret:
    """What its owner signs with, and sends beside it."""

    access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class KnownKey:
    account: str
    arn: str
    """Whose key it is, as STS GetCallerIdentity prints it."""
    user_id: str
    expires: datetime | None = None
    secret: Secret | None = None
    """None: not known here, so its signatures cannot be verified."""
    origin: str | None = None
    """Of a session that STS gave out in this run of the server: the access key that began the chain of sessions."""


class KeyRing(Protocol):
    """The keys that the gateway recognises."""

    def learn(self, access_key_id: str, key: KnownKey) -> None: ...

    def forget(self, access_key_id: str) -> None: ...

    def refuse(self, access_key_id: str) -> None:
        """Who signs with it is turned away, until it is admitted or forgotten."""
        ...

    def admit(self, access_key_id: str) -> None: ...

    def find(self, access_key_id: str) -> KnownKey | None: ...
