"""Functions whose LoggingConfig asks for JSON: the log as the platform, our bootstrap and real processes write it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from lambent.functions.records import LoggingConfig
from tests.e2e.invoke_kit import Machine, machine_in
from tests.unit.environments.kit import until

GROUP = "/aws/lambda/thumbnail"


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    async with machine_in(tmp_path) as made:
        yield made


def records(lines: list[str]) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in lines]


async def test_platform_and_function_write_json_in_their_order(machine: Machine) -> None:
    function = machine.deploy(
        """
        import logging
        log = logging.getLogger()
        def handler(event, context):
            log.debug("too quiet")
            log.info("hello %s", event["name"], extra={"color": "blue"})
            log.error("two\\nlines")
            print("printed")
        """,
        logging=LoggingConfig(GROUP, "JSON", "INFO", "DEBUG"),
    )
    result = await machine.invoke(function, {"name": "Grace"}, keep_tail=True)
    await until(lambda: machine.in_use() == 0)
    lines = [line for line in machine.log.lines if line != "printed\n"]
    assert len(lines) == len(machine.log.lines) - 1
    found = records(lines)
    assert [record.get("type", record.get("level")) for record in found] == [
        "platform.initStart", "platform.initRuntimeDone", "platform.initReport",
        "platform.start", "INFO", "ERROR", "platform.runtimeDone", "platform.report",
    ]  # fmt: skip
    request_id = found[3]["record"]["requestId"]
    hello = found[4]
    assert (hello["message"], hello["requestId"], hello["color"]) == ("hello Grace", request_id, "blue")
    assert found[5]["message"] == "two\nlines"
    spans = {span["name"]: span["durationMs"] for span in found[2]["record"]["spans"]}
    assert list(spans) == ["queued", "sandbox", "runtime", "init"]
    assert spans["init"] > 0
    done = found[6]["record"]
    assert [span["name"] for span in done["spans"]] == ["responseLatency", "responseDuration", "runtimeOverhead"]
    assert sum(span["durationMs"] for span in done["spans"]) == pytest.approx(done["metrics"]["durationMs"], abs=0.01)
    report = found[7]["record"]
    assert (report["requestId"], report["status"]) == (request_id, "success")
    assert report["metrics"]["initDurationMs"] > 0
    assert report["metrics"]["maxMemoryUsedMB"] > 1
    assert result.log_tail is not None
    tail = result.log_tail.decode().split("\n")
    assert orjson.loads(tail[-1])["type"] == "platform.report"


async def test_errors_and_ends_name_their_status(machine: Machine) -> None:
    function = machine.deploy(
        """
        import os, time
        def handler(event, context):
            if event == "raise": raise ValueError("no")
            if event == "exit": os._exit(3)
            time.sleep(30)
        """,
        timeout_s=1,
        logging=LoggingConfig(GROUP, "JSON", "ERROR", "WARN"),
    )
    for event in ("raise", "exit", "sleep"):
        assert (await machine.invoke(function, event)).error_type is not None
    await until(lambda: machine.in_use() == 0)
    found = records(machine.log.lines)
    assert found[0]["errorType"] == "ValueError"
    ends = [record["record"] for record in found if record.get("type") in ("platform.runtimeDone", "platform.report")]
    assert [(end["status"], end.get("errorType")) for end in ends] == [
        *[("error", "Runtime.Unknown")] * 2,
        *[("error", "Runtime.ExitError")] * 2,
        *[("timeout", None)] * 2,
    ]


async def test_only_what_is_important_enough_is_written(machine: Machine) -> None:
    function = machine.deploy(
        """
        import json, logging
        def handler(event, context):
            print(json.dumps({"level": "debug", "message": "quiet"}))
            print(json.dumps({"level": "error", "message": "loud"}))
            print("printed")
            logging.warning("warned")
        """,
        logging=LoggingConfig(GROUP, "JSON", "WARN", "WARN"),
    )
    await machine.result(function)
    await until(lambda: machine.in_use() == 0)
    assert [record["message"] for record in records(machine.log.lines)] == ["loud", "warned"]
