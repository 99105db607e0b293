"""A flood of 100 MB of lines past a subscriber that takes nothing: the server stays as small as it was."""

from pathlib import Path

from lambent.testing.running_server import Server
from tests.e2e.census import resources
from tests.e2e.packages import create_function
from tests.e2e.telemetry_kit import FLOOD, agent, flood, subscription
from tests.e2e.test_hostile_functions import DESCRIPTORS, RESIDENT_KB
from tests.e2e.test_layers import publish


def test_a_hundred_megabytes_past_a_deaf_subscriber(tmp_path: Path) -> None:
    with Server.start(tmp_path / "data") as server:
        client = server.client("lambda")
        wish = subscription(8080, types=["function"], buffering={"maxBytes": 1_048_576, "timeoutMs": 25})
        program = agent(listens="deaf", subscription=wish)
        arn = publish(client, "deaf", {"extensions/agent": program}, executable=True)
        create_function(client, "flood", FLOOD, Timeout=120, MemorySize=1769, Layers=[arn])
        flood(client, "flood", 10)
        before = resources(server.pid)
        for _ in range(5):
            flood(client, "flood", 20)
            after = resources(server.pid)
            assert after["resident_kb"] - before["resident_kb"] < RESIDENT_KB
        assert after["descriptors"] - before["descriptors"] < DESCRIPTORS
