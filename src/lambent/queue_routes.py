"""`/_lambent/queue-metrics`: the metrics of a queue of our own by minute, as CloudWatch names them.

Signed like a call of the API, whose account and region it then means.
"""

from typing import Final
from urllib.parse import parse_qsl

import orjson

from lambent.aws.errors import ApiError
from lambent.gateway.http import HttpRequest, HttpResponse, RouteHandler
from lambent.gateway.keys import KnownKeys
from lambent.gateway.sigv4 import credential_of
from lambent.metrics import datapoint
from lambent.services.sqs.service import SqsService

PATH: Final = "/_lambent/queue-metrics"


class QueueRoutes:
    def __init__(self, sqs: SqsService, keys: KnownKeys) -> None:
        self._sqs = sqs
        self._keys = keys

    def routes(self) -> dict[str, RouteHandler]:
        return {PATH: self.metrics}

    async def metrics(self, request: HttpRequest) -> HttpResponse:
        """`?QueueName=...`. Raises `ApiError` where there is no such queue."""
        credential = credential_of(request.headers, request.query)
        account = self._keys.identity(credential.access_key_id).account
        name = dict(parse_qsl(request.query)).get("QueueName", "")
        found = await self._sqs.metrics_of(account, credential.region, name)
        if found is None:
            raise ApiError("QueueDoesNotExist", "The specified queue does not exist.", status=400)
        shown = [
            {"MetricName": metric, "Unit": unit, "Datapoints": [datapoint(point) for point in points]}
            for metric, unit, points in found
        ]
        return HttpResponse(200, [("Content-Type", "application/json")], orjson.dumps({"Metrics": shown}))
