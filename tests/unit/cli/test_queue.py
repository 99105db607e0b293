"""`lambent queue`, and what metrics of queues look like in a table."""

import json
from collections.abc import Callable

from tests.unit.cli.conftest import Outcome, ScriptedServer

Run = Callable[..., Outcome]


def metric(name: str, unit: str, *values: float) -> dict[str, object]:
    points = [{"Timestamp": 0, "SampleCount": 1, "Sum": each, "Minimum": each, "Maximum": each} for each in values]
    return {"MetricName": name, "Unit": unit, "Datapoints": points}


def test_counts_are_summed_and_levels_are_not(run: Run, server: ScriptedServer) -> None:
    counted = [
        metric("ApproximateNumberOfMessagesVisible", "Count", 4, 2),
        metric("NumberOfMessagesSent", "Count", 5, 7),
        metric("SentMessageSize", "Bytes", 10),
    ]
    server.answer("GET", "/_lambent/queue-metrics", {"Metrics": counted})
    lines = run("queue", "metrics", "orders", "--endpoint", server.url).out.splitlines()
    assert [line.split() for line in lines[1:4]] == [
        ["ApproximateNumberOfMessagesVisible", "-", "3", "2", "4", "2"],
        ["NumberOfMessagesSent", "12", "6", "5", "7", "2"],
        ["SentMessageSize", "-", "10", "10", "10", "1"],
    ]
    assert lines[4].startswith("ages in seconds, sizes in bytes")
    assert json.loads(run("queue", "metrics", "orders", "--json", "--endpoint", server.url).out) == counted
