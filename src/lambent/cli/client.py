"""A light client of the server for the subcommands: standard library only, so that a command starts in 0.1 s.

Signs as AWS clients do (Signature Version 4), since the server takes only API calls that look like one. Knows the
paths of the few operations that subcommands need; whoever wants more uses an AWS client.
"""

import hashlib
import hmac
import http.client
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from lambent.cli.failure import REFUSED, UNREACHABLE, USAGE, Failure

DEFAULT_ENDPOINT = "http://127.0.0.1:4566"
ENDPOINT_VARIABLES = ("LAMBENT_ENDPOINT", "AWS_ENDPOINT_URL_LAMBDA", "AWS_ENDPOINT_URL")
DEFAULT_REGION = "us-east-1"
DEFAULT_ACCESS_KEY = "test"
DEFAULT_SECRET_KEY = "test"
CONNECT_TIMEOUT_S = 5.0
PIECE_BYTES = 65_536
LONGEST_CALL_S = 930.0
"""A function may run 900 s."""


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body or b"null")


@dataclass(frozen=True, slots=True)
class Credentials:
    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(repr=False, default=None)
    region: str = DEFAULT_REGION

    @classmethod
    def from_variables(cls, environ: Mapping[str, str]) -> "Credentials":
        """As AWS clients choose them, with stand-ins: on a loopback address the server checks no secret."""
        return cls(
            environ.get("AWS_ACCESS_KEY_ID") or DEFAULT_ACCESS_KEY,
            environ.get("AWS_SECRET_ACCESS_KEY") or DEFAULT_SECRET_KEY,
            environ.get("AWS_SESSION_TOKEN") or None,
            environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or DEFAULT_REGION,
        )


class Client:
    """One server. Each call is one connection; calls raise `Failure` when no server answers or it refuses."""

    def __init__(self, endpoint: str, credentials: Credentials) -> None:
        parts = urlsplit(endpoint)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in {"http", "https"} or not parts.hostname or port == -1:
            raise Failure(f"'{endpoint}' is no endpoint; one looks like {DEFAULT_ENDPOINT}", USAGE)
        self.endpoint = endpoint.rstrip("/")
        self._credentials = credentials
        self._secure = parts.scheme == "https"
        self._host = parts.hostname
        self._port = port
        self._netloc = parts.netloc.rpartition("@")[2]

    @classmethod
    def choose(cls, endpoint: str | None, environ: Mapping[str, str] | None = None) -> "Client":
        """`endpoint` (a flag), else the first of `ENDPOINT_VARIABLES` that is set, else the default."""
        environ = os.environ if environ is None else environ
        named = endpoint or next((environ[name] for name in ENDPOINT_VARIABLES if environ.get(name)), None)
        return cls(named or DEFAULT_ENDPOINT, Credentials.from_variables(environ))

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """GET an operation of Lambda; its output."""
        return self.call("GET", path, query).json()

    def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        service: str = "lambda",
    ) -> Reply:
        """A signed call. `path` is already percent-encoded. A reply that is no success raises `Failure`."""
        target, signed = self._signed(method, path, query, body, headers, service)
        return _accepted(self._send(method, target, body, signed))

    @contextmanager
    def stream(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[Iterator[bytes]]:
        """The same for a reply that is read as it comes, however it was cut."""
        target, signed = self._signed(method, path, query, body, headers, "lambda")
        with self._open(method, target, body, signed) as response:
            if response.status >= 300:
                _accepted(_reply(response))
            yield self._pieces(response)

    def _pieces(self, response: http.client.HTTPResponse) -> Iterator[bytes]:
        while True:
            with self._no_answer():
                piece = response.read1(PIECE_BYTES)
            if not piece:
                return
            yield piece

    def _signed(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: bytes,
        headers: Mapping[str, str] | None,
        service: str,
    ) -> tuple[str, Mapping[str, str]]:
        """The target of the request, and its headers."""
        query_string = urlencode(sorted((query or {}).items()), quote_via=quote)
        signed = sign(
            self._credentials, datetime.now(UTC), service, method, self._netloc, path, query_string, body, headers or {}
        )
        return path + ("?" + query_string if query_string else ""), signed

    def health(self) -> Any:
        """What `/_lambent/health` says; not signed."""
        reply = self._send("GET", "/_lambent/health", b"", {"host": self._netloc})
        try:
            health = reply.json()
        except ValueError:
            health = None
        if reply.status != 200 or not isinstance(health, dict) or "sandbox" not in health:
            raise Failure(f"what answers on {self.endpoint} is not Lambent", UNREACHABLE)
        return health

    def _send(self, method: str, target: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        with self._open(method, target, body, headers) as response, self._no_answer():
            return _reply(response)

    @contextmanager
    def _open(
        self, method: str, target: str, body: bytes, headers: Mapping[str, str]
    ) -> Iterator[http.client.HTTPResponse]:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=CONNECT_TIMEOUT_S)
        try:
            with self._no_answer():
                connection.connect()
                connection.sock.settimeout(LONGEST_CALL_S)
                connection.request(method, target, body or None, dict(headers))
                response = connection.getresponse()
            yield response
        finally:
            connection.close()

    @contextmanager
    def _no_answer(self) -> Iterator[None]:
        """What goes wrong with the connection is a `Failure`."""
        try:
            yield
        except (OSError, http.client.HTTPException) as error:
            raise Failure(_unreachable(self.endpoint, error), UNREACHABLE) from error


def _reply(response: http.client.HTTPResponse) -> Reply:
    names = {name.lower(): value for name, value in response.getheaders()}
    return Reply(response.status, names, response.read())


def _accepted(reply: Reply) -> Reply:
    if reply.status >= 300:
        raise Failure(_complaint(reply), REFUSED)
    return reply


def _unreachable(endpoint: str, error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return f"no server answers on {endpoint}; start one with: lambent up"
    return f"no answer from {endpoint}: {error or type(error).__name__} (is it a Lambent server? start one: lambent up)"


def _complaint(reply: Reply) -> str:
    """The error of a reply as one line."""
    code = reply.headers.get("x-amzn-errortype", "").partition(":")[0]
    try:
        content = reply.json()
    except ValueError:
        content = None
    content = content if isinstance(content, dict) else {}
    code = code or str(content.get("__type", "")).rpartition("#")[2] or f"HTTP {reply.status}"
    message = content.get("Message") or content.get("message") or reply.body[:200].decode("utf-8", "replace")
    return " ".join(f"{code}: {message}".split())


def sign(
    credentials: Credentials,
    now: datetime,
    service: str,
    method: str,
    host: str,
    path: str,
    query_string: str,
    body: bytes,
    headers: Mapping[str, str],
) -> dict[str, str]:
    """`headers` with those of Signature Version 4 added. `query_string` has its parameters sorted and encoded."""
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{stamp[:8]}/{credentials.region}/{service}/aws4_request"
    digest = hashlib.sha256(body).hexdigest()
    signed = {name.lower(): value for name, value in headers.items()} | {"host": host, "x-amz-date": stamp}
    if credentials.token:
        signed["x-amz-security-token"] = credentials.token
    names = ";".join(sorted(signed))
    # All services but S3 encode the path a second time for the signature.
    lines = [f"{name}:{' '.join(signed[name].split())}" for name in sorted(signed)]
    canonical = "\n".join([method, quote(path, safe="/~"), query_string, *lines, "", names, digest])
    to_sign = "\n".join(("AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = f"AWS4{credentials.secret_key}".encode()
    for part in (*scope.split("/"), to_sign):
        key = hmac.digest(key, part.encode(), "sha256")
    signed["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, SignedHeaders={names}, Signature={key.hex()}"
    )
    return signed
