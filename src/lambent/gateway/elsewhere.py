"""Services that are answered outside this process: which they are, and how a request is passed on.

A redirected service goes to its endpoint, also one of ours; a service that is not ours goes to the neighbours. The
caller is known and the signature verified, as for every other request, before anything is passed on.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from lambent.aws.models import UnknownService, metadata
from lambent.aws.outside import Outside, OutsideRequest
from lambent.aws.service import Identity
from lambent.core.setting_values import SettingsError
from lambent.gateway.hosts import NO_SCRIPT_OF_OURS
from lambent.gateway.http import HttpRequest, HttpResponse
from lambent.gateway.sigv4 import Credential


class Redirect(Outside, Protocol):
    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Elsewhere:
    neighbour: Outside | None = None
    """Answers what is neither ours nor redirected."""
    redirects: Mapping[str, Redirect] = field(default_factory=dict)
    """By the name that requests are signed for."""

    def redirected(self, signing_name: str) -> Outside | None:
        return self.redirects.get(signing_name) if self.redirects else None


async def redirects(endpoints: Sequence[tuple[str, str]]) -> dict[str, Redirect]:
    """By the name that requests are signed for. Raises `SettingsError` for a service that AWS does not have."""
    found: dict[str, Redirect] = {}
    if not endpoints:
        return found
    # What signs and sends costs 3 MB and 20 ms: only those that redirect have it.
    from lambent.gateway.endpoint import Endpoint, own_credentials

    credentials = await asyncio.to_thread(own_credentials)
    for name, url in endpoints:
        try:
            described = metadata(name)
        except UnknownService:
            raise SettingsError(f"endpoint of {name!r}: no service of AWS has that name in boto3") from None
        found[described.get("signingName", described["endpointPrefix"])] = Endpoint(url, credentials)
    return found


async def passed_on(outside: Outside, request: HttpRequest, identity: Identity, credential: Credential) -> HttpResponse:
    """Raises what `Outside.forward` raises."""
    reply = await outside.forward(
        OutsideRequest(
            service=credential.service,
            account=identity.account,
            region=credential.region,
            access_key_id=credential.access_key_id,
            method=request.method,
            path=request.path,
            query=request.query,
            headers=request.headers,
            body=request.body,
        )
    )
    return HttpResponse(reply.status, [*reply.headers, NO_SCRIPT_OF_OURS], reply.body)
