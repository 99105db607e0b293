"""The routes of the bill and of budgets, for `lambent bill`. Signed like a call of the API, whose account is meant."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson

from lambent.aws.errors import ApiError
from lambent.billing.desk import Desk
from lambent.gateway.http import HttpRequest, HttpResponse, RouteHandler
from lambent.gateway.keys import KnownKeys
from lambent.gateway.sigv4 import credential_of

BILL = "/_lambent/bill"
BUDGETS = "/_lambent/budgets"


class BillRoutes:
    def __init__(self, desk: Desk, keys: KnownKeys) -> None:
        self._desk = desk
        self._keys = keys

    def routes(self) -> dict[str, RouteHandler]:
        return {BILL: self.bill, BUDGETS: self.budgets}

    async def bill(self, request: HttpRequest) -> HttpResponse:
        """GET `?Month=2026-11&By=function`; see `billing.desk`."""
        account, _, query = self._asked(request)
        try:
            return _json(await self._desk.bill(account, query))
        except ApiError as error:
            return _refused(error)

    async def budgets(self, request: HttpRequest) -> HttpResponse:
        """GET all of the account, PUT or DELETE one; each answers with those there are."""
        account, region, query = self._asked(request)
        try:
            match request.method:
                case "GET":
                    found = self._desk.budgets(account)
                case "PUT":
                    found = await self._desk.put_budget(account, region, query)
                case "DELETE":
                    found = await self._desk.remove_budget(account, region, query)
                case _:
                    raise ApiError("MethodNotAllowed", "A budget is put, got or deleted.", status=405)
        except ApiError as error:
            return _refused(error)
        return _json({"Budgets": found})

    def _asked(self, request: HttpRequest) -> tuple[str, str, Mapping[str, str]]:
        credential = credential_of(request.headers, request.query)
        return self._keys.identity(credential.access_key_id).account, credential.region, dict(parse_qsl(request.query))


def _refused(error: ApiError) -> HttpResponse:
    """As Lambda's protocol writes it: from a method and a path of ours nobody could tell which protocol is meant."""
    headers = [("Content-Type", "application/json"), ("x-amzn-ErrorType", error.code)]
    return HttpResponse(error.status or 400, headers, orjson.dumps({"Message": error.message}))


def _json(body: Mapping[str, Any]) -> HttpResponse:
    return HttpResponse(200, [("Content-Type", "application/json")], orjson.dumps(body))
