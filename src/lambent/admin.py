"""Lambent's own routes: health, metrics, cold starts, reset, the code of a function. Never served inside a sandbox."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from urllib.parse import parse_qsl, unquote

import orjson

from lambent import __version__, metrics
from lambent.aws.errors import ApiError
from lambent.core.statistics import Statistics
from lambent.environments.cold_starts import as_json
from lambent.environments.networks.egress import Egress
from lambent.environments.pool import Pool
from lambent.environments.sandbox import probe
from lambent.functions.code_urls import PREFIX as CODE_PREFIX
from lambent.functions.control_plane import ControlPlane
from lambent.functions.resolve import Target, address
from lambent.gateway.http import HttpRequest, HttpResponse, RouteHandler
from lambent.gateway.keys import KnownKeys
from lambent.gateway.sigv4 import credential_of
from lambent.invocation.concurrency import Concurrency
from lambent.invocation.gauges import Gauges
from lambent.invocation.metrics import UNITS, Metrics
from lambent.runtimes.catalog import Catalog
from lambent.runtimes.custom.runtime import IDENTIFIERS as CUSTOM

Reset = Callable[[], Awaitable[None]]


class Admin:
    """`resets` drop the state of all parts, in this order; None: there is no such route."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        choice: probe.Choice,
        egress: Egress,
        control_plane: ControlPlane,
        pool: Pool,
        concurrency: Concurrency,
        counted: Metrics,
        queues: Callable[[], Mapping[str, Statistics]],
        gauges: Gauges,
        keys: KnownKeys,
        resets: Sequence[Reset] | None,
        virtual_clock: bool,
    ) -> None:
        self._catalog = catalog
        self._choice = choice
        self._egress = egress
        self._control_plane = control_plane
        self._pool = pool
        self._concurrency = concurrency
        self._counted = counted
        self._queues = queues
        self._gauges = gauges
        self._keys = keys
        self._resets = resets
        self._virtual_clock = virtual_clock

    def routes(self) -> dict[str, RouteHandler]:
        routes: dict[str, RouteHandler] = {
            "/_lambent/health": self.health,
            "/_lambent/metrics": self.metrics,
            "/_lambent/cold-starts": self.cold_starts,
            "/_lambent/function-metrics": self.function_metrics,
            CODE_PREFIX: self.code,
        }
        return routes if self._resets is None else routes | {"/_lambent/reset": self.reset}

    async def health(self, request: HttpRequest) -> HttpResponse:
        return _json(
            200,
            {
                "status": "ok",
                "version": __version__,
                "sandbox": self._choice.as_json(),
                "egress": self._egress.as_json(),
                "runtimes": [*(runtime.identifier for runtime in self._catalog.available()), *CUSTOM],
                "clock": "virtual" if self._virtual_clock else "real",
            },
        )

    async def metrics(self, request: HttpRequest) -> HttpResponse:
        """Open to whoever may ask for health: counts, without a name among them."""
        text = metrics.render(self._pool, self._concurrency, self._counted, self._queues())
        return HttpResponse(200, [("Content-Type", metrics.CONTENT_TYPE)], text.encode())

    async def cold_starts(self, request: HttpRequest) -> HttpResponse:
        """`?FunctionName=...&Qualifier=...`: the last cold starts of a function, newest first.

        Signed like a call of the API, whose account and region it then means. Raises `ApiError` as GetFunction does.
        """
        target, version = self._function(request)
        found = self._pool.cold_starts.of(target.key, version if target.qualifier else None)
        return _json(200, {"ColdStarts": [as_json(number, event) for number, event in found]})

    async def function_metrics(self, request: HttpRequest) -> HttpResponse:
        """`?FunctionName=...&Qualifier=...`: the metrics of a function by minute; signed likewise.

        `&EventSourceMappingUUID=...`: those of one of its mappings, which have no other dimension.
        """
        target, _ = self._function(request)
        self._gauges.take_now()
        key, qualifier = target.key, target.qualifier
        mapping = dict(parse_qsl(request.query)).get("EventSourceMappingUUID") or None
        series = self._counted.series
        names = {name for source, name in self._counted.sources(key.account, key.region) if source.key == key}
        found = [
            {"MetricName": name, "Unit": UNITS[name], "Datapoints": [metrics.datapoint(point) for point in points]}
            for name in sorted(names)
            if (points := series(*key[:2], name, function=key.name, qualifier=qualifier, mapping=mapping))
        ]
        return _json(200, {"Metrics": found})

    def _function(self, request: HttpRequest) -> tuple[Target, str]:
        """What the query names, and the version that it means."""
        credential = credential_of(request.headers, request.query)
        identity = self._keys.identity(credential.access_key_id)
        query = dict(parse_qsl(request.query))
        target = address(
            identity.account, credential.region, query.get("FunctionName", ""), query.get("Qualifier") or None
        )
        function = self._control_plane.read_model.get(target.key)
        version = function.version(target.qualifier) if function is not None else None
        # A function of another account is as if it did not exist.
        if version is None or target.key.account != identity.account:
            # The status too: outside of an API no model knows the code.
            raise ApiError("ResourceNotFoundException", f"Function not found: {target.arn}", status=404)
        return target, version.version

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
