"""Requests to function URLs, on public listeners: by Host, or by path where a client knows no such host.

Reads the body, has the signer authenticated, and hands the rest to `invocation.function_url`. Every reply is in the
form of function URLs, not of an AWS API. Not served inside sandboxes.
"""

from lambent.aws.errors import ApiError
from lambent.aws.service import Identity
from lambent.functions.url_address import Address, address_of, domain, port_of
from lambent.gateway.authenticate import Authenticator
from lambent.gateway.body import BodyReader, TooLarge
from lambent.gateway.hosts import NO_SCRIPT_OF_OURS, HostRule
from lambent.gateway.http import HttpRequest, HttpResponse
from lambent.gateway.sigv4 import signature_of
from lambent.invocation.function_url import FunctionUrls, Url, forbidden, too_large, unknown
from lambent.invocation.url_event import UrlRequest
from lambent.invocation.url_response import UrlResponse, message


class UrlRoute:
    def __init__(self, urls: FunctionUrls, authenticator: Authenticator) -> None:
        self._urls = urls
        self._authenticator = authenticator

    def address(self, head: HttpRequest, hosts: HostRule) -> Address | None:
        """Where the request leads when it is for a function URL. Its Origin is the business of the URL's owner."""
        found = address_of(head.headers.get("host", ""), head.path)
        # `--allowed-host` may name the host of the server, or all names below another.
        served = found is not None and (hosts.serves(found.host) or hosts.serves(head.headers.get("host")))
        return found if served else None

    async def answer(self, address: Address, head: HttpRequest, request_id: str, body: BodyReader) -> HttpResponse:
        """Raises `Disconnected`, and PlatformFault."""
        url = self._urls.find(address.url_id, address.region)
        if url is None:
            response = unknown()
        else:
            with self._urls.counted(url) as request:
                response = await self._reply(url, address, head, request_id, body)
                request.status = response.status
        if address.path_form:
            response = response.adding(NO_SCRIPT_OF_OURS)
        return HttpResponse(response.status, response.headers, response.body)

    async def _reply(
        self, url: Url, address: Address, head: HttpRequest, request_id: str, body: BodyReader
    ) -> UrlResponse:
        try:
            response = await self._answer(url, address, head, request_id, body)
        except TooLarge:
            response = too_large(self._urls.max_body_bytes)
        except ApiError as error:
            # Of the signature, or of the memory for bodies.
            response = message(error.status or 403, error.code, {"message": error.message})
            response = response.adding(*error.headers.items())
        return response

    async def _answer(
        self, url: Url, address: Address, head: HttpRequest, request_id: str, body: BodyReader
    ) -> UrlResponse:
        preflight = self._urls.preflight(url, head.method, head.headers)
        if preflight is not None:
            return preflight
        content, caller = b"", None
        if url.signed:
            # The signature covers the body.
            content = await body.read(self._urls.max_body_bytes)
            caller = self._caller(url, head, content)
            if caller is None:
                return forbidden()
        refusal = self._urls.refusal(url, caller)
        if refusal is not None:
            return refusal
        if not url.signed:
            content = await body.read(self._urls.max_body_bytes)
        return await self._urls.answer(url, _request(address, url, head, request_id, content, caller))

    def _caller(self, url: Url, head: HttpRequest, content: bytes) -> Identity | None:
        """Who has signed; None when nobody has. Raises `ApiError` for a signature that is wrong."""
        if "authorization" not in head.headers and "X-Amz-Credential=" not in head.query:
            return None
        signed = HttpRequest(head.method, head.path, head.query, head.headers, content, head.base_url)
        # All parts must be there, also where the authenticator does not ask for the secret.
        credential = signature_of(signed).credential
        if (credential.service, credential.region) != ("lambda", url.key.region):
            return None
        return self._authenticator.authenticate(signed, credential)


def _request(
    address: Address, url: Url, head: HttpRequest, request_id: str, content: bytes, caller: Identity | None
) -> UrlRequest:
    host = head.headers.get("host", "")
    scheme = head.base_url.partition(":")[0]
    return UrlRequest(
        method=head.method,
        path=address.path,
        query=head.query,
        headers=head.headers,
        body=content,
        domain=domain(address.host, url.config.url_id, url.key.region),
        scheme=scheme,
        port=port_of(host, scheme),
        source_ip=head.source_ip,
        request_id=request_id,
        caller=caller,
    )
