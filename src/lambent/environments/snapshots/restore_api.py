"""What the Runtime API has for SnapStart alone: `/restore/next`, `/restore/error`, and the credentials of the role.

Credentials come from here instead of variables, because a client that was made before the snapshot must get those of
the environment that it wakes up in. Behaviour: AWS's "Lambda runtime API", and its runtime interface emulator.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson

from lambent.core.clock import Clock
from lambent.environments.ports import SessionCredentials
from lambent.environments.runtime_http import HttpRequest, encode, encode_json

RESTORE_NEXT = b"/2018-06-01/runtime/restore/next"
RESTORE_ERROR = b"/2018-06-01/runtime/restore/error"
CREDENTIALS = b"/2021-04-23/credentials"

BEFORE_SNAPSHOT = timedelta(minutes=5)
"""So short that every SDK asks again at its next use, which may be after a restore."""
AFTER_RESTORE = timedelta(hours=6)

_RESTORED = encode(200, b"text/plain", b"")
_NO_CREDENTIALS = encode_json(404, b'{"errorMessage":"No such credentials","errorType":"InvalidToken"}')


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreApi:
    credentials: SessionCredentials
    token: str
    clock: Clock
    lifetime: timedelta = AFTER_RESTORE
    awaits_restore: Callable[[], None] | None = None
    """Of a template: its runtime asks for the restore by itself, and is not answered. None: at once."""

    def next(self) -> bytes | None:
        """The reply to `/restore/next`; None to let it wait."""
        if self.awaits_restore is None:
            return _RESTORED
        self.awaits_restore()
        return None

    def session(self, request: HttpRequest) -> bytes:
        given = request.headers.get(b"authorization", b"")
        if not hmac.compare_digest(given, self.token.encode()):
            return _NO_CREDENTIALS
        found = {
            "AccessKeyId": self.credentials.access_key_id,
            "SecretAccessKey": self.credentials.secret_access_key,
            "Token": self.credentials.session_token,
            "Expiration": _iso(self.clock.now() + self.lifetime),
        }
        return encode_json(200, orjson.dumps(found))


def _iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
