"""Floods of lines for more than a minute past subscribers that take all or nothing: the server stays as small as it
was, also while it puts what it has stored into larger pieces, every 30 s."""

import time
from pathlib import Path

import pytest

from lambent.testing.running_server import Server
from tests.e2e.census import resources
from tests.e2e.packages import create_function
from tests.e2e.telemetry_kit import FLOOD, FLOOD_KB, agent, flood, subscription
from tests.e2e.test_hostile_functions import DESCRIPTORS
from tests.e2e.test_layers import publish

FOR_S = 70.0


@pytest.mark.parametrize("listens", ["deaf", "http", "tcp"])
def test_floods_past_a_subscriber(tmp_path: Path, listens: str) -> None:
    with Server.start(tmp_path / "data") as server:
        client = server.client("lambda", read_timeout_s=120.0)
        to = {"protocol": "TCP", "port": 8080} if listens == "tcp" else subscription(8080)["destination"]
        buffering = {"maxBytes": 1_048_576, "timeoutMs": 25}
        wish = subscription(8080, types=["function"], buffering=buffering, destination=to)
        program = agent(listens=listens, subscription=wish, forgets=True)
        arn = publish(client, "layer", {"extensions/agent": program}, executable=True)
        create_function(client, "flood", FLOOD, Timeout=120, MemorySize=1769, Layers=[arn])
        flood(client, "flood", 1)
        before = resources(server.pid)
        end = time.monotonic() + FOR_S
        while time.monotonic() < end:
            flood(client, "flood", 16)
            after = resources(server.pid)
            assert after["resident_kb"] - before["resident_kb"] < FLOOD_KB
        assert after["descriptors"] - before["descriptors"] < DESCRIPTORS
