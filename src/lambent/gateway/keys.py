"""The access keys that name somebody, in memory; those who give them out keep them durably.

Account and identity of a key: the one it was made for; the account that its 12 digits are; else 000000000000.
"""

import functools
from typing import Final

from lambent.aws.errors import ApiError
from lambent.aws.keys import KnownKey
from lambent.aws.service import Identity
from lambent.core.clock import Clock
from lambent.gateway.sigv4 import unknown_token

DEFAULT_ACCOUNT: Final = "000000000000"


class KnownKeys:
    """Implements `aws.keys.KeyRing`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._keys: dict[str, KnownKey] = {}
        self._refused: set[str] = set()

    def learn(self, access_key_id: str, key: KnownKey) -> None:
        self._keys[access_key_id] = key

    def forget(self, access_key_id: str) -> None:
        self._keys.pop(access_key_id, None)
        self._refused.discard(access_key_id)

    def refuse(self, access_key_id: str) -> None:
        self._refused.add(access_key_id)

    def admit(self, access_key_id: str) -> None:
        self._refused.discard(access_key_id)

    def find(self, access_key_id: str) -> KnownKey | None:
        return self._keys.get(access_key_id)

    def identity(self, access_key_id: str) -> Identity:
        """Raises `ApiError` 403: ExpiredTokenException, or UnrecognizedClientException for a refused key."""
        if access_key_id in self._refused:
            raise unknown_token()
        key = self._keys.get(access_key_id)
        if key is None:
            return identity_of_key(access_key_id)
        if key.expires is not None and key.expires <= self._clock.now():
            text = "The security token included in the request is expired"
            raise ApiError("ExpiredTokenException", text, status=403)
        return Identity(key.account, key.arn, access_key_id)


@functools.lru_cache(maxsize=1024)
def identity_of_key(access_key_id: str) -> Identity:
    digits = len(access_key_id) == 12 and access_key_id.isascii() and access_key_id.isdigit()
    account = access_key_id if digits else DEFAULT_ACCOUNT
    return Identity(account, f"arn:aws:iam::{account}:root", access_key_id)
