"""How many sessions one key may have at one time, over the chains that began with it.

The key is of an environment of a function, or of a user. Without a bound a function could fill the memory and the
database with them. Refuses the next one as AWS does a caller who is too fast.
"""

from datetime import datetime
from typing import Final

from lambent.aws.errors import ApiError

LIVE_SESSIONS: Final = 5_000
"""One handler call in a second that assumes a role each time, with sessions of an hour, stays below. AWS limits the
rate of requests, and publishes no such number."""


class Bound:
    def __init__(self, most: int) -> None:
        self._most = most
        self._got: dict[str, dict[str, datetime]] = {}

    def take(self, origin: str, access_key_id: str, expires: datetime, now: datetime) -> list[str]:
        """Count one more; the keys of expired ones that must go for it. Raises `ApiError` Throttling 400."""
        got = self._got.get(origin, {})
        expired: list[str] = []
        if len(got) >= self._most:
            expired = [key for key, until in got.items() if until <= now]
            if not expired:
                raise ApiError("Throttling", "Rate exceeded", status=400)
            for key in expired:
                del got[key]
        self._got.setdefault(origin, got)[access_key_id] = expires
        return expired

    def give_back(self, origin: str, access_key_id: str) -> None:
        got = self._got.get(origin, {})
        got.pop(access_key_id, None)
        if not got:
            self._got.pop(origin, None)

    def clear(self) -> None:
        self._got.clear()

    def __len__(self) -> int:
        return sum(map(len, self._got.values()))
