"""URLs under which a client downloads the code of a version: signed, and good for ten minutes.

The signature covers the digest of the package, so a URL always gives the bytes that it was made for.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from urllib.parse import quote, unquote

from lambent.aws.errors import ApiError
from lambent.core.clock import Clock

PREFIX = "/_lambent/code/"


class CodeUrls:
    def __init__(self, key: bytes, clock: Clock, lifetime_s: int) -> None:
        self._key = key
        self._clock = clock
        self._lifetime_ms = lifetime_s * 1000

    def sign(self, base_url: str, owner: Sequence[str], sha256: str) -> str:
        """`owner` names the version whose package `sha256` is, in the path of the URL."""
        path = PREFIX + "/".join(quote(part, safe="") for part in owner)
        expires = self._clock.epoch_ms() + self._lifetime_ms
        signature = self._signature(unquote(path), sha256, str(expires))
        return f"{base_url}{path}?expires={expires}&code={sha256}&signature={signature}"

    def verify(self, path: str, query: Mapping[str, str]) -> str:
        """The digest of the package that a URL gives; `path` decoded. `ApiError` AccessDenied 403 otherwise."""
        expires, code = query.get("expires", ""), query.get("code", "")
        given = query.get("signature", "")
        if not hmac.compare_digest(self._signature(path, code, expires).encode(), given.encode()):
            raise ApiError("AccessDenied", "The signature of this URL is not valid.", status=403)
        if int(expires) < self._clock.epoch_ms():
            raise ApiError("AccessDenied", "Request has expired", status=403)
        return code

    def _signature(self, path: str, code: str, expires: str) -> str:
        return hmac.new(self._key, f"{path}\n{code}\n{expires}".encode(), hashlib.sha256).hexdigest()
