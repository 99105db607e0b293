"""Access keys that are more than an account number: of users, of assumed roles, of functions' sessions."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class KnownKey:
    account: str
    arn: str
    """Whose key it is, as STS GetCallerIdentity prints it."""
    user_id: str
    expires: datetime | None = None


class KeyRing(Protocol):
    """The keys that the gateway recognises."""

    def learn(self, access_key_id: str, key: KnownKey) -> None: ...

    def forget(self, access_key_id: str) -> None: ...

    def find(self, access_key_id: str) -> KnownKey | None: ...
