"""Containers of an OCI runtime under a whole server. What holds for all drivers is in other test_sandbox modules."""

import json
import os
import time
from pathlib import Path

import pytest

from lambent.environments.sandbox import probe
from lambent.environments.sandbox.ports import Preparation
from lambent.launcher import client as launcher
from lambent.launcher.client import LauncherError
from lambent.testing.running_server import Server
from tests.e2e.packages import create_function
from tests.e2e.sandbox_kit import DEADLINE_S, needs_program, oci_driver, run, spec

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="containers are made by root")

HANDLER = """
import os, sys, time
def handler(event, context):
    if event.get("sleep"):
        open("/tmp/mark", "w").close()
        time.sleep(event["sleep"])
    return [os.path.exists("/tmp/mark"), os.environ["NAME"], sys.prefix, open("/proc/1/cmdline").read().split("\\0")[0]]
"""


async def test_every_guarantee_is_found_from_inside(tmp_path: Path) -> None:
    async with oci_driver(tmp_path) as driver:
        assert driver.name == "oci"
        assert await probe.examine(driver, tmp_path / "packages") == {}


async def test_code_appears_in_a_container_that_is_up(tmp_path: Path) -> None:
    async with oci_driver(tmp_path) as driver:
        prepared = await driver.prepare(Preparation())
        sandbox = await prepared.assign(spec(tmp_path / "packages", "print('late', __file__)"))
        assert await run(sandbox) == "late /var/task/main.py\n"


def test_runtime_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LauncherError, match="the OCI runtime nosuchrun is not there"):
        launcher.kind("oci", "nosuchrun")


def test_functions_run_keep_tmp_over_a_reset_and_scale(tmp_path: Path) -> None:
    needs_program("runc", "runc")
    with Server.start(tmp_path / "data", "--sandbox", "oci", "--oci-runtime", "runc") as server:
        assert server.sandbox == "oci"
        client = server.client("lambda")
        create_function(client, "contained", HANDLER, Timeout=1, Environment={"Variables": {"NAME": "välue"}})

        def call(**event: object) -> tuple[object, str | None]:
            reply = client.invoke(FunctionName="contained", Payload=json.dumps(event).encode())
            return json.loads(reply["Payload"].read()), reply.get("FunctionError")

        answer, _ = call()
        assert answer == [False, "välue", "/var/lang", answer[3]]  # type: ignore[index]
        late, error = call(sleep=30)
        assert error == "Unhandled"
        assert "Task timed out after 1.00 seconds" in late["errorMessage"]  # type: ignore[index]
        deadline = time.monotonic() + DEADLINE_S
        answer, error = call()
        assert error is None
        assert answer[0] is True  # type: ignore[index]
        assert time.monotonic() < deadline
