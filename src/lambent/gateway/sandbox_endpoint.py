"""The AWS endpoint inside a sandbox: the same services, for requests that this environment's session has signed,
or a session that STS gave to it."""

import socket
from dataclasses import dataclass
from typing import Final

from lambent.aws.keys import KeyRing, KnownKey, Secret
from lambent.core.clock import Clock
from lambent.environments.credentials import caller_arn
from lambent.environments.ports import Closer, SessionCredentials
from lambent.gateway.app import Gateway
from lambent.gateway.authenticate import OneSession
from lambent.gateway.connection import Limits
from lambent.gateway.server import HttpServer

LIMITS: Final = Limits(connections_per_peer=128, connections=192)


class SandboxEndpoint:
    """Implements `environments.ports.AwsEndpoint`. `/_lambent/*` is not there, whoever asks."""

    def __init__(self, gateway: Gateway, server: HttpServer, clock: Clock) -> None:
        self._gateway = gateway
        self._server = server
        self._clock = clock

    async def serve(self, listener: socket.socket, session: SessionCredentials) -> Closer:
        keys = self._gateway.keys
        served = await self._server.serve(
            self._gateway.private(OneSession(session, keys, self._clock)), listener, LIMITS
        )
        # A URL that the function presigns may be opened outside.
        secret = Secret(session.secret_access_key, session.session_token)
        known = KnownKey(session.account, caller_arn(session), session.session_name, secret=secret)
        keys.learn(session.access_key_id, known)
        return _Session(served, keys, session.access_key_id)


@dataclass(frozen=True, slots=True)
class _Session:
    listener: Closer
    keys: KeyRing
    access_key_id: str

    def close(self) -> None:
        self.keys.forget(self.access_key_id)
        self.listener.close()
