"""Who calls: from a request to an `Identity`. One class per kind of listener.

On the loopback listener credentials are not checked, but they must be there in AWS's shape; at function URLs they are
checked where their secret is known; inside a sandbox only the session of that environment and what STS gave to it are
accepted, and signatures are verified.
"""

import hmac
from dataclasses import dataclass
from typing import Protocol

from lambent.aws.keys import Secret
from lambent.aws.service import Identity
from lambent.core.clock import Clock
from lambent.environments.credentials import caller_arn
from lambent.environments.ports import SessionCredentials
from lambent.gateway import sigv4
from lambent.gateway.http import HttpRequest
from lambent.gateway.keys import KnownKeys
from lambent.gateway.sigv4 import Credential


class Authenticator(Protocol):
    def authenticate(self, request: HttpRequest, credential: Credential) -> Identity:
        """Raises `ApiError` 403."""
        ...

    def identify(self, access_key_id: str) -> tuple[Identity, Secret | None]:
        """Whose key it is and, where that is known, what its owner signs with; for who verifies by rules of its own.

        Raises `ApiError` 403 for who may not come here.
        """
        ...


@dataclass(frozen=True, slots=True)
class Unchecked:
    """Whoever the access key names; its secret is not asked for."""

    keys: KnownKeys

    def authenticate(self, request: HttpRequest, credential: Credential) -> Identity:
        return self.keys.identity(credential.access_key_id)

    def identify(self, access_key_id: str) -> tuple[Identity, Secret | None]:
        return _known(self.keys, access_key_id)


@dataclass(frozen=True, slots=True)
class CheckedWhereKnown:
    """As `Unchecked`, but who has a key whose secret is known here must have signed with it."""

    keys: KnownKeys
    clock: Clock

    def authenticate(self, request: HttpRequest, credential: Credential) -> Identity:
        known = self.keys.find(credential.access_key_id)
        if known is not None and known.secret is not None:
            _verify(request, known.secret, self.clock)
        return self.keys.identity(credential.access_key_id)

    def identify(self, access_key_id: str) -> tuple[Identity, Secret | None]:
        return _known(self.keys, access_key_id)


@dataclass(frozen=True, slots=True)
class OneSession:
    """Accepts what `session` has signed, and sessions that STS gave to it or to one of those; nothing else."""

    session: SessionCredentials
    keys: KnownKeys
    clock: Clock

    def authenticate(self, request: HttpRequest, credential: Credential) -> Identity:
        identity, secret = self.identify(credential.access_key_id)
        assert secret is not None
        _verify(request, secret, self.clock)
        return identity

    def identify(self, access_key_id: str) -> tuple[Identity, Secret | None]:
        own = self.session
        if hmac.compare_digest(access_key_id.encode(), own.access_key_id.encode()):
            secret = Secret(own.secret_access_key, own.session_token)
            return Identity(own.account, caller_arn(own), own.access_key_id), secret
        derived = self.keys.find(access_key_id)
        if derived is None or derived.secret is None or derived.origin != own.access_key_id:
            raise sigv4.unknown_token()
        return self.keys.identity(access_key_id), derived.secret


def _known(keys: KnownKeys, access_key_id: str) -> tuple[Identity, Secret | None]:
    known = keys.find(access_key_id)
    return keys.identity(access_key_id), None if known is None else known.secret


def _verify(request: HttpRequest, secret: Secret, clock: Clock) -> None:
    signature = sigv4.signature_of(request)
    given, wanted = signature.security_token or "", secret.session_token or ""
    if not hmac.compare_digest(given.encode(), wanted.encode()):
        raise sigv4.unknown_token()
    sigv4.verify(request, signature, secret.access_key, now=clock.now())
