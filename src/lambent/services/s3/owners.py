"""The canonical id of an account: 64 hexadecimal digits, always the same for one account."""

import hashlib
from functools import lru_cache


@lru_cache(maxsize=1024)
def canonical_id(account: str) -> str:
    return hashlib.sha256(f"canonical user of {account}".encode()).hexdigest()
