"""Lambent's own routes: health, reset, and the code of a function. On public listeners alone, never in a sandbox."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from urllib.parse import parse_qsl, unquote

import orjson

from lambent import __version__
from lambent.environments.sandbox import probe
from lambent.functions.code_urls import PREFIX as CODE_PREFIX
from lambent.functions.control_plane import ControlPlane
from lambent.gateway.http import HttpRequest, HttpResponse, RouteHandler
from lambent.runtimes.catalog import Catalog

Reset = Callable[[], Awaitable[None]]


class Admin:
    """`resets` drop the state of all parts, in this order; None: there is no such route."""

    def __init__(
        self, *, catalog: Catalog, choice: probe.Choice, control_plane: ControlPlane, resets: Sequence[Reset] | None
    ) -> None:
        self._catalog = catalog
        self._choice = choice
        self._control_plane = control_plane
        self._resets = resets

    def routes(self) -> dict[str, RouteHandler]:
        routes: dict[str, RouteHandler] = {"/_lambent/health": self.health, CODE_PREFIX: self.code}
        return routes if self._resets is None else routes | {"/_lambent/reset": self.reset}

    async def health(self, request: HttpRequest) -> HttpResponse:
        return _json(
            200,
            {
                "status": "ok",
                "version": __version__,
                "sandbox": self._choice.as_json(),
                "runtimes": [runtime.identifier for runtime in self._catalog.available()],
            },
        )

    async def reset(self, request: HttpRequest) -> HttpResponse:
        if request.method != "POST":
            return _json(405, {"message": "POST /_lambent/reset drops all state."})
        for reset in self._resets or ():
            await reset()
        return _json(200, {"status": "ok"})

    async def code(self, request: HttpRequest) -> HttpResponse:
        query = dict(parse_qsl(request.query))
        archive = self._control_plane.code_archive(unquote(request.path), query)
        return HttpResponse(200, [("Content-Type", "application/zip")], archive)


def _json(status: int, body: Mapping[str, object]) -> HttpResponse:
    return HttpResponse(status, [("Content-Type", "application/json")], orjson.dumps(body))
