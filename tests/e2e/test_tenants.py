"""Functions with tenant isolation in real sandboxes: what a tenant leaves in memory and in /tmp is its own."""

import json
from typing import Any

import pytest

from lambent.testing.running_server import Server
from tests.e2e.census import eventually
from tests.e2e.packages import create_function

REMEMBERS = """
import logging
import os

seen = []
logging.getLogger().setLevel("INFO")

def handler(event, context):
    logging.getLogger().info("here")
    seen.append(context.tenant_id)
    with open("/tmp/tenants", "a") as file:
        file.write(context.tenant_id + "\\n")
    return {"seen": seen, "files": open("/tmp/tenants").read().split()}
"""


@pytest.fixture(scope="module")
def client(server: Server) -> Any:
    made = server.client("lambda")
    create_function(
        made,
        "remembers",
        REMEMBERS,
        TenancyConfig={"TenantIsolationMode": "PER_TENANT"},
        LoggingConfig={"LogFormat": "JSON"},
    )
    return made


def call(client: Any, tenant: str, **more: Any) -> Any:
    reply = client.invoke(FunctionName="remembers", TenantId=tenant, **more)
    return json.loads(reply["Payload"].read() or b"null")


def test_tenants_share_nothing_and_find_their_own_again(client: Any) -> None:
    calls = {"blue": 0, "green": 0}
    for tenant in ("blue", "green", "blue", "green", "blue"):
        calls[tenant] += 1
        expected = [tenant] * calls[tenant]
        assert call(client, tenant) == {"seen": expected, "files": expected}


def test_an_event_of_a_tenant_runs_where_the_tenant_is(client: Any) -> None:
    before = len(call(client, "red")["seen"])
    call(client, "red", InvocationType="Event")
    seen = eventually(lambda: call(client, "red")["seen"], timeout_s=20, until=lambda found: len(found) > before + 1)
    assert set(seen) == {"red"}


def test_each_line_of_the_log_says_whose_it_is(client: Any, server: Server) -> None:
    call(client, "violet")
    logs = server.client("logs")

    def of_violet() -> list[dict[str, Any]]:
        events = logs.filter_log_events(logGroupName="/aws/lambda/remembers")["events"]
        records = [json.loads(event["message"]) for event in events]
        return [each.get("record", each) for each in records if "violet" in json.dumps(each)]

    lines = eventually(of_violet, timeout_s=10, until=lambda found: len(found) > 2)
    # platform.start, the function's own line, platform.report.
    assert [line["tenantId"] for line in lines] == ["violet"] * 3
    assert [line["message"] for line in lines if "message" in line] == ["here"]
