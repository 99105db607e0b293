"""The direct way of lambda:Invoke: a request that came whole, in one read, is answered without ASGI and without a task.

Asks the parts that `app` asks, in its order, and steps aside for all that is rare, large or refused before anything
has happened: the long way has the words. Two property tests hold the ways together.
"""

import asyncio
from collections.abc import Callable
from typing import Final, NamedTuple

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from lambent.aws.errors import ApiError
from lambent.aws.service import CallContext
from lambent.core.ids import request_id as new_request_id
from lambent.gateway.authenticate import Authenticator
from lambent.gateway.dispatch import Api, Apis, Begun
from lambent.gateway.elsewhere import Elsewhere
from lambent.gateway.function_urls import UrlRoute
from lambent.gateway.hosts import HostRule
from lambent.gateway.http import Headers, HttpRequest, HttpResponse, adopted_id
from lambent.gateway.invoke import PREFIX, SUFFIX
from lambent.gateway.reply import head_lines
from lambent.gateway.route import Match
from lambent.gateway.sigv4 import Credential, credential_of

START: Final = PREFIX.encode()
END: Final = SUFFIX.encode()
LARGEST_BYTES: Final = 65_536
"""Of a body: what is larger counts in the memory for bodies, and comes in several reads anyway."""
_RARE: Final = frozenset(
    ("origin", "sec-fetch-site", "x-amz-target", "connection", "upgrade", "expect", "transfer-encoding")
)


class InvokeHead(NamedTuple):
    """What the head of a request says, as far as nothing else decides."""

    match: Match
    """With all parameters but the payload."""
    path: str
    query: str
    headers: Headers
    base_url: str
    credential: Credential
    sent_id: str | None
    """The caller's own request id."""


class Taken(NamedTuple):
    request_id: str
    answer: HttpResponse | Begun


class DirectWay:
    """Of one kind of listener. `read` has no memory and `take` all effects: what was read once may be taken again."""

    __slots__ = ("_apis", "_authenticator", "_elsewhere", "_hosts", "_made", "_urls")

    def __init__(
        self, apis: Apis, elsewhere: Elsewhere, authenticator: Authenticator, hosts: HostRule, urls: UrlRoute | None
    ) -> None:
        self._apis = apis
        self._made: Api | None = None
        self._elsewhere = elsewhere
        self._authenticator = authenticator
        self._hosts = hosts
        self._urls = urls

    @property
    def _api(self) -> Api:
        """That of lambda, whose model takes 8 ms to read: not before somebody invokes."""
        if self._made is None:
            self._made = self._apis.by_name("lambda")
            assert self._made is not None
        return self._made

    @staticmethod
    def may_take(method: bytes, target: bytes) -> bool:
        """Whether `read` is worth asking once the body is there. `target` is the request's, as on the wire."""
        return method == b"POST" and target.startswith(START) and (target.endswith(END) or b"?" in target)

    def read(self, target: bytes, headers: Headers, scheme: str) -> InvokeHead | None:
        """None when it is for the long way."""
        if not _RARE.isdisjoint(headers) or b"#" in target:
            return None
        path, _, query = target.decode("latin-1").partition("?")
        host, sent_id = headers.get("host"), headers.get("x-amzn-requestid")
        head = HttpRequest("POST", path, query, headers, b"", f"{scheme}://{host or ''}")
        match = self._api.match_short(head)
        if match is None or (sent_id is not None and adopted_id(headers) is None):
            return None
        if self._urls is not None and self._urls.address(head, self._hosts) is not None:
            return None
        try:
            self._hosts.check(host, None)
            credential = credential_of(headers, query)
        except ApiError:
            return None
        service = credential.service
        if self._elsewhere.redirected(service) is not None or service != self._api.signing_name:
            return None
        return InvokeHead(match, path, query, headers, head.base_url, credential, adopted_id(headers))

    def take(self, head: InvokeHead, body: bytes, source_ip: str) -> Taken | None:
        """Begin to answer; None, and nothing has happened, when it is for the long way."""
        match, path, query, headers, base_url, credential, sent_id = head
        if len(body) > LARGEST_BYTES:
            return None
        request = HttpRequest("POST", path, query, headers, body, base_url, source_ip)
        try:
            identity = self._authenticator.authenticate(request, credential)
        except ApiError:
            return None
        request_id = new_request_id() if sent_id is None else sent_id
        context = CallContext(
            identity.account, credential.region, request_id, identity, base_url, headers.get("x-amzn-trace-id")
        )
        return Taken(request_id, self._api.begin(context, match, request))


class _Nobody:
    """Who waits for the messages of ASGI."""

    @staticmethod
    def set() -> None: ...


class DirectReply:
    """Stands where uvicorn's protocol expects an exchange. Its request is complete; its reply leaves in one write."""

    __slots__ = (
        "_done",
        "_header_lines",
        "_request_id",
        "_transport",
        "disconnected",
        "keep_alive",
        "response_complete",
    )

    message_event = _Nobody
    response_started = False

    def __init__(
        self,
        transport: asyncio.Transport,
        header_lines: bytes,
        request_id: str,
        done: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._header_lines = header_lines
        self._request_id = request_id
        self._done = done
        self.disconnected = False
        self.keep_alive = True
        self.response_complete = False

    def ended(self, begun: Begun) -> None:
        """The operation is over. Cancelled is what the end of the server cuts."""
        if begun.future.cancelled():
            self.response_complete = True
            self._transport.abort()
            return
        self.reply(begun.response())

    def reply(self, response: HttpResponse) -> None:
        self.response_complete = True
        if self.disconnected:
            return
        assert isinstance(response.body, bytes)
        end = b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n"
        head = b"".join((STATUS_LINE[response.status], self._header_lines, head_lines(response, self._request_id), end))
        self._transport.write(head + response.body)
        if not self.keep_alive:
            self._transport.close()
        self._done()


def direct_way(
    apis: Apis, elsewhere: Elsewhere, authenticator: Authenticator, hosts: HostRule, urls: UrlRoute | None
) -> DirectWay | None:
    """None where Invoke is not ours."""
    if not apis.answers("lambda", "Invoke"):
        return None
    return DirectWay(apis, elsewhere, authenticator, hosts, urls)
