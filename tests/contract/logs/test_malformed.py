"""Whatever a request holds, it is answered with 200 or 4xx."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lambent.aws.service import Service
from lambent.core.clock import SystemClock
from lambent.gateway.app import Gateway
from lambent.services.logs.service import LogsService
from lambent.services.logs.tokens import opaque
from lambent.store.database import Database

NAMES = (
    *("logGroupName", "logGroupIdentifier", "logStreamName", "logStreamNames", "logStreamNamePrefix"),
    *("logGroupNamePrefix", "logGroupNamePattern", "logGroupIdentifiers", "resourceArn", "tags", "tagKeys"),
    *("startTime", "endTime", "limit", "nextToken", "filterPattern", "startFromHead", "interleaved", "orderBy"),
    *("descending", "retentionInDays", "logEvents", "sequenceToken", "logGroupClass", "kmsKeyId"),
)
odd_text = st.sampled_from(
    [
        "g",
        "s",
        "no",
        "",
        "\ud800",
        "\x00",
        "ä" * 600,
        "arn:aws:logs:us-east-1:000000000000:log-group:g",
        "arn:::::::",
        "f/1/s",
        opaque("\ud800"),
        opaque(2**200, "f"),
        opaque(2**64, "s"),
        opaque(-1, "b"),
        opaque(10**56 - 1, "f"),
        opaque(10**56 - 1, "b"),
    ]
) | st.text(max_size=5)
odd_numbers = st.sampled_from([0, 1, -1, 50, 10_000, 2**31, 2**63 - 1, 2**63, 10**30, -(10**30), 1.5])
values = st.recursive(
    odd_text | odd_numbers | st.booleans() | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(("timestamp", "message", "k", "")) | odd_text, inner, max_size=3)
    ),
    max_leaves=6,
)
bodies = st.dictionaries(st.sampled_from(NAMES), values, max_size=6).map(
    lambda drawn: {"logGroupName": "g", "logStreamName": "s", **drawn}
)


class Exchange:
    """The service behind the gateway, called from Hypothesis, which is not asynchronous."""

    def __init__(self, path: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(self._open(path))

    async def _open(self, path: Path) -> None:
        self._database = Database.open(path)
        self._service = LogsService(self._database, SystemClock())
        self.operations = sorted(self._service.operations())
        self._app = Gateway({"logs": Service("logs", self._service.operations())}).public()

    def __call__(self, operation: str, body: bytes) -> tuple[int, bytes]:
        return self._loop.run_until_complete(asyncio.wait_for(self._exchange(operation, body), 10))

    async def _exchange(self, operation: str, body: bytes) -> tuple[int, bytes]:
        authorization = (
            "AWS4-HMAC-SHA256 Credential=test/20261120/us-east-1/logs/aws4_request, SignedHeaders=host, Signature=0"
        )
        headers = {
            "host": "localhost:4566",
            "authorization": authorization,
            "content-type": "application/x-amz-json-1.1",
            "x-amz-target": f"Logs_20140328.{operation}",
        }
        scope: dict[str, Any] = {
            "type": "http",
            "method": "POST",
            "scheme": "http",
            "path": "/",
            "raw_path": b"/",
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await self._app(scope, receive, send)
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])

    def close(self) -> None:
        self._loop.run_until_complete(self._service.close())
        self._loop.run_until_complete(self._database.close())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    made = Exchange(tmp_path_factory.mktemp("logs") / "lambent.db")
    yield made
    made.close()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_request_is_answered_with_5xx(exchange: Exchange, data: st.DataObject) -> None:
    # They exist when the request comes, unless the one before has deleted them: then they are made again.
    assert exchange("CreateLogGroup", b'{"logGroupName": "g"}')[0] in {200, 400}
    exchange("CreateLogStream", b'{"logGroupName": "g", "logStreamName": "s"}')
    assert exchange("GetLogEvents", b'{"logGroupName": "g", "logStreamName": "s"}')[0] == 200
    operation = data.draw(st.sampled_from(exchange.operations))
    body = json.dumps(data.draw(bodies)).encode()
    status, reply = exchange(operation, body)
    assert status == 200 or 400 <= status < 500, reply
    if reply:
        json.loads(reply)
