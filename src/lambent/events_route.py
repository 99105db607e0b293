"""`/_lambent/events`: the events of functions that wait, run or have failed; sent again, and dropped.

For `lambent events`. Owns what is shown of an event and nothing about what becomes of it. Signed like calls of the API,
whose account and region they then mean; a function of another account is as if it did not exist.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

import orjson

from lambent.aws.errors import ApiError
from lambent.core.clock import Clock
from lambent.functions.records import FunctionKey
from lambent.functions.resolve import address
from lambent.gateway.http import HttpRequest, HttpResponse, RouteHandler
from lambent.gateway.keys import KnownKeys
from lambent.gateway.sigv4 import credential_of
from lambent.invocation.event_queue import EventQueue, Functions
from lambent.invocation.events import WaitingEvent
from lambent.invocation.failed_events import FailedEvent
from lambent.invocation.retry import Condition

PATH: Final = "/_lambent/events"
LIMIT: Final = 50
MAX_LIMIT: Final = 10_000
MAX_IDS: Final = 1000


class EventsRoute:
    def __init__(self, events: EventQueue, functions: Functions, keys: KnownKeys, clock: Clock) -> None:
        """`clock`: that of the events."""
        self._events = events
        self._functions = functions
        self._keys = keys
        self._clock = clock

    def routes(self) -> dict[str, RouteHandler]:
        return {PATH: self.show, f"{PATH}/redrive": self.redrive, f"{PATH}/purge": self.purge}

    async def show(self, request: HttpRequest) -> HttpResponse:
        """GET `?FunctionName=...&Limit=50`: those that run, then those that come first, then the failed ones, last
        one first; `Failed=true`: only these. Without FunctionName: how many each function has."""
        _require(request, "GET")
        account, region = self._caller(request)
        query = dict(parse_qsl(request.query))
        now_ms = self._clock.epoch_ms()
        if "FunctionName" not in query:
            totals = await self._events.totals(account, region)
            return _json({"now_ms": now_ms, "functions": [{"name": name, **each} for name, each in totals.items()]})
        key, limit = await self._found(request), _limit(query)
        only_failed = query.get("Failed") == "true"
        waiting = [] if only_failed else [_waiting(each, now_ms) for each in await self._events.listed(key, limit)]
        failed = [_failed(each) for each in await self._events.failed(key, max(0, limit - len(waiting)))]
        totals = await self._events.totals(key.account, key.region, key.name)
        return _json({"now_ms": now_ms, "totals": totals[key.name], "events": waiting + failed})

    async def redrive(self, request: HttpRequest) -> HttpResponse:
        """POST `{"RequestIds": [...]}`, or without: all failed events of the function are accepted again."""
        _require(request, "POST")
        key = await self._found(request)
        ids = _request_ids(request.body)
        return _json({"redriven": await self._events.redrive(key, ids)})

    async def purge(self, request: HttpRequest) -> HttpResponse:
        """POST: what waits and what has failed is dropped; with `Failed=true` the failed events alone."""
        _require(request, "POST")
        key = await self._found(request)
        waiting = dict(parse_qsl(request.query)).get("Failed") != "true"
        return _json({"purged": await self._events.purge(key, waiting=waiting, failed=True)})

    def _caller(self, request: HttpRequest) -> tuple[str, str]:
        credential = credential_of(request.headers, request.query)
        return self._keys.identity(credential.access_key_id).account, credential.region

    async def _found(self, request: HttpRequest) -> FunctionKey:
        """The function that is meant. One that was deleted has events for a while. Raises `ApiError` 404."""
        account, region = self._caller(request)
        target = address(account, region, dict(parse_qsl(request.query)).get("FunctionName", ""))
        key = target.key
        if key.account == account and (self._functions.get(key) is not None or any(await self._events.counts(key))):
            return key
        raise ApiError("ResourceNotFoundException", f"Function not found: {target.arn}", status=404)


def _waiting(event: WaitingEvent, now_ms: int) -> dict[str, object]:
    later = event.next_ms is not None and event.next_ms > now_ms
    return {
        "state": "running" if event.status == "running" else "retry" if later else "queued",
        "request_id": event.request_id,
        "qualifier": event.qualifier,
        "tenant": event.tenant_id,
        "attempts": event.attempts,
        "refusals": event.refusals,
        "accepted_ms": event.accepted_ms,
        "next_ms": event.next_ms,
        "ended_ms": None,
        "condition": None,
        "error": event.last_error,
        "size_bytes": event.size_bytes,
    }


def _failed(event: FailedEvent) -> dict[str, object]:
    # That there are no more retries is what "failed" says.
    condition = None if event.condition == Condition.RETRIES_EXHAUSTED else event.condition
    words = (condition, event.error_type, event.error_message)
    return {
        "state": "failed",
        "request_id": event.request_id,
        "qualifier": event.qualifier,
        "tenant": event.tenant_id,
        "attempts": event.attempts,
        "refusals": 0,
        "accepted_ms": event.accepted_ms,
        "next_ms": None,
        "ended_ms": event.ended_ms,
        "condition": event.condition,
        "error": ": ".join(word for word in words if word),
        "size_bytes": event.size_bytes,
    }


def _request_ids(body: bytes) -> list[str] | None:
    wrong = _invalid(f'The body is JSON such as {{"RequestIds": ["..."]}}, with at most {MAX_IDS} of them, or empty.')
    if not body:
        return None
    try:
        sent = orjson.loads(body)
    except ValueError:
        raise wrong from None
    ids = sent.get("RequestIds") if isinstance(sent, dict) else None
    if not isinstance(ids, list) or not 0 < len(ids) <= MAX_IDS or not all(isinstance(each, str) for each in ids):
        raise wrong
    return ids


def _limit(query: Mapping[str, str]) -> int:
    text = query.get("Limit", str(LIMIT))
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= MAX_LIMIT):
        raise _invalid(f"Limit is a whole number from 1 to {MAX_LIMIT}.")
    return int(text)


def _require(request: HttpRequest, method: str) -> None:
    if request.method != method:
        raise ApiError("MethodNotAllowedException", f"{request.path} takes {method}.", status=405)


def _invalid(message: str) -> ApiError:
    return ApiError("InvalidParameterValueException", message, status=400)


def _json(body: Mapping[str, object]) -> HttpResponse:
    return HttpResponse(200, [("Content-Type", "application/json")], orjson.dumps(body))
