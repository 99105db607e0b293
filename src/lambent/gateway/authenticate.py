"""Who calls: from a request to an `Identity`. One class per kind of listener.

On the loopback listener credentials are not checked, but they must be there in AWS's shape; inside a sandbox only
the session of that environment is accepted, and its signature is verified.
"""

import hmac
from dataclasses import dataclass
from typing import Protocol

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


@dataclass(frozen=True, slots=True)
class Unchecked:
    """Whoever the access key names; its secret is not asked for."""

    keys: KnownKeys

    def authenticate(self, request: HttpRequest, credential: Credential) -> Identity:
        return self.keys.identity(credential.access_key_id)


@dataclass(frozen=True, slots=True)
class OneSession:
    """Accepts what `session` has signed, nothing else."""

    session: SessionCredentials
    clock: Clock

    def authenticate(self, request: HttpRequest, credential: Credential) -> Identity:
        session = self.session
        signature = sigv4.signature_of(request)
        known = hmac.compare_digest(credential.access_key_id.encode(), session.access_key_id.encode())
        token = hmac.compare_digest((signature.security_token or "").encode(), session.session_token.encode())
        if not (known and token):
            raise sigv4.unknown_token()
        sigv4.verify(request, signature, session.secret_access_key, now=self.clock.now())
        return Identity(session.account, caller_arn(session), session.access_key_id)
