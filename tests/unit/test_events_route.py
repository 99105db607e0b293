"""`/_lambent/events`: what is told of events, and who may ask for which."""

import json
from typing import Any

import pytest

from lambent.aws.errors import ApiError
from lambent.cli.client import Credentials, sign
from lambent.events_route import PATH, EventsRoute
from lambent.gateway.http import HttpRequest
from lambent.gateway.keys import KnownKeys
from lambent.testing.manual_clock import START
from tests.unit.invocation.test_event_queue import FAILURE, Kit, config, kit

__all__ = ["kit"]

SOMEBODY = "111111111111"


@pytest.fixture
def route(kit: Kit) -> EventsRoute:
    return EventsRoute(kit.events, kit.functions, KnownKeys(kit.clock), kit.clock)


async def ask(
    route: EventsRoute, path: str, query: str = "", *, body: bytes = b"", method: str = "", account: str = "test"
) -> Any:
    method = method or ("GET" if path == PATH else "POST")
    credentials = Credentials(account, "test")
    headers = sign(credentials, START, "lambda", method, "localhost", path, query, body, {}) if account else {}
    response = await route.routes()[path](HttpRequest(method, path, query, headers, body, "http://localhost"))
    assert isinstance(response.body, bytes)
    return json.loads(response.body)


async def fail(kit: Kit, *request_ids: str, retries: int = 0) -> None:
    kit.functions.add("a", config(maximum_retry_attempts=retries))
    kit.router.reactions["a"] = [FAILURE]
    for request_id in request_ids:
        await kit.accept(request_id=request_id, payload=b"{}")
        await kit.idle()


async def test_an_event_is_told_from_its_retries_to_its_end(kit: Kit, route: EventsRoute) -> None:
    await fail(kit, "r-1", retries=1)
    await kit.clock.advance(18)
    told = await ask(route, PATH, "FunctionName=a")
    accepted_ms = told["events"][0]["accepted_ms"]
    assert told == {
        "now_ms": accepted_ms + 18_000,
        "totals": {"running": 0, "queued": 0, "retry": 1, "failed": 0},
        "events": [
            {
                "state": "retry",
                "request_id": "r-1",
                "qualifier": None,
                "tenant": None,
                "attempts": 1,
                "refusals": 0,
                "accepted_ms": accepted_ms,
                "next_ms": accepted_ms + 60_000,
                "ended_ms": None,
                "condition": None,
                "error": "ValueError: boom",
                "size_bytes": 2,
            }
        ],
    }
    await kit.advance(42)
    told = await ask(route, PATH, "FunctionName=a&Failed=true")
    assert told["totals"] == {"running": 0, "queued": 0, "retry": 0, "failed": 1}
    (failed,) = told["events"]
    assert (failed["state"], failed["attempts"], failed["next_ms"]) == ("failed", 2, None)
    assert (failed["condition"], failed["error"]) == ("RetriesExhausted", "ValueError: boom")
    assert failed["ended_ms"] == accepted_ms + 60_000


async def test_the_tenant_of_an_event_is_told_while_it_waits_and_when_it_has_failed(
    kit: Kit, route: EventsRoute
) -> None:
    kit.functions.add("a", config(maximum_retry_attempts=1))
    kit.router.reactions["a"] = [FAILURE]
    resolution = kit.functions.resolve("000000000000", "us-east-1", "a")
    await kit.events.accept(resolution, b"{}", "r-1", None, tenant_id="blue")
    await kit.idle()
    for state in ("retry", "failed"):
        (event,) = (await ask(route, PATH, "FunctionName=a"))["events"]
        assert (event["state"], event["tenant"]) == (state, "blue")
        await kit.advance(60)


async def test_the_limit_holds_for_both_lists_together(kit: Kit, route: EventsRoute) -> None:
    await fail(kit, "f-1", "f-2")
    await fail(kit, "w-1", "w-2", retries=2)
    assert [each["state"] for each in (await ask(route, PATH, "FunctionName=a&Limit=3"))["events"]] == [
        "retry",
        "retry",
        "failed",
    ]
    assert len((await ask(route, PATH, "FunctionName=a&Limit=2"))["events"]) == 2
    assert len((await ask(route, PATH, "FunctionName=a&Limit=1&Failed=true"))["events"]) == 1


async def test_functions_with_events_are_counted_for_their_account_alone(kit: Kit, route: EventsRoute) -> None:
    assert (await ask(route, PATH))["functions"] == []
    await fail(kit, "f-1", "f-2")
    assert (await ask(route, PATH))["functions"] == [{"name": "a", "running": 0, "queued": 0, "retry": 0, "failed": 2}]
    assert (await ask(route, PATH, account=SOMEBODY))["functions"] == []


@pytest.mark.parametrize("path", [PATH, f"{PATH}/redrive", f"{PATH}/purge"])
async def test_a_function_of_another_account_is_as_if_it_did_not_exist(kit: Kit, route: EventsRoute, path: str) -> None:
    await fail(kit, "f-1")
    arn = "arn:aws:lambda:us-east-1:000000000000:function:a"
    with pytest.raises(ApiError) as refused:
        await ask(route, path, f"FunctionName={arn}", account=SOMEBODY)
    assert (refused.value.code, refused.value.status) == ("ResourceNotFoundException", 404)
    with pytest.raises(ApiError, match="Function not found"):
        await ask(route, path, "FunctionName=nobodys")
    with pytest.raises(ApiError, match="Missing Authentication Token"):
        await ask(route, path, "FunctionName=a", account="")
    assert (await ask(route, PATH, "FunctionName=a"))["totals"]["failed"] == 1


async def test_events_of_a_deleted_function_are_told(kit: Kit, route: EventsRoute) -> None:
    await fail(kit, "f-1")
    kit.functions.known.clear()
    assert (await ask(route, PATH, "FunctionName=a"))["totals"]["failed"] == 1
    assert await ask(route, f"{PATH}/purge", "FunctionName=a") == {"purged": 1}
    with pytest.raises(ApiError, match="Function not found"):
        await ask(route, PATH, "FunctionName=a")


async def test_redrive_of_some_and_of_all(kit: Kit, route: EventsRoute) -> None:
    await fail(kit, "f-1", "f-2", "f-3")
    kit.functions.add("a", config(maximum_retry_attempts=2))
    body = b'{"RequestIds": ["f-2", "unknown"]}'
    assert await ask(route, f"{PATH}/redrive", "FunctionName=a", body=body) == {"redriven": 1}
    assert await ask(route, f"{PATH}/redrive", "FunctionName=a") == {"redriven": 2}
    await kit.idle()
    assert (await ask(route, PATH, "FunctionName=a"))["totals"] == {
        "running": 0,
        "queued": 0,
        "retry": 3,
        "failed": 0,
    }


async def test_purge_of_the_failed_ones_alone(kit: Kit, route: EventsRoute) -> None:
    await fail(kit, "f-1")
    await fail(kit, "w-1", retries=2)
    assert await ask(route, f"{PATH}/purge", "FunctionName=a&Failed=true") == {"purged": 1}
    assert (await ask(route, PATH, "FunctionName=a"))["totals"]["retry"] == 1
    assert await ask(route, f"{PATH}/purge", "FunctionName=a") == {"purged": 1}


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{",
        b"{}",
        b'{"RequestIds": []}',
        b'{"RequestIds": "r"}',
        b'{"RequestIds": [1]}',
        b'{"RequestIds": null}',
    ],
)
async def test_a_bad_body_redrives_nothing(kit: Kit, route: EventsRoute, body: bytes) -> None:
    await fail(kit, "f-1")
    with pytest.raises(ApiError, match="The body is JSON such as"):
        await ask(route, f"{PATH}/redrive", "FunctionName=a", body=body)
    assert (await ask(route, PATH, "FunctionName=a"))["totals"]["failed"] == 1


@pytest.mark.parametrize("limit", ["0", "-1", "10001", "x", "%D9%A3"])
async def test_a_bad_limit_is_refused(kit: Kit, route: EventsRoute, limit: str) -> None:
    await fail(kit, "f-1")
    with pytest.raises(ApiError, match="Limit is a whole number"):
        await ask(route, PATH, f"FunctionName=a&Limit={limit}")


async def test_each_path_takes_its_method(route: EventsRoute) -> None:
    with pytest.raises(ApiError, match="takes GET"):
        await ask(route, PATH, method="POST")
    with pytest.raises(ApiError, match="takes POST"):
        await ask(route, f"{PATH}/purge", "FunctionName=a", method="GET")
