"""Containers of an OCI runtime under a whole server. What holds for all drivers is in other test_sandbox modules."""

import json
import os
import time
import urllib.request
from pathlib import Path

import pytest

from lambent.environments.sandbox import probe
from lambent.environments.sandbox.ports import Preparation
from lambent.launcher import starting
from lambent.launcher.client import LauncherError
from lambent.testing.running_server import Server
from tests.e2e.extension_kit import agent
from tests.e2e.packages import RUNTIME, create_function
from tests.e2e.sandbox_kit import DEADLINE_S, needs_program, oci_driver, run, spec
from tests.e2e.test_layers import publish

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
        starting.kind("oci", "nosuchrun")


@pytest.mark.parametrize("program", ["runc", "runsc"])
def test_functions_run_keep_tmp_over_a_reset_and_scale(tmp_path: Path, program: str) -> None:
    needs_program(program, program)
    with Server.start(tmp_path / "data", "--sandbox", "oci", "--oci-runtime", program) as server:
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


ENDS = """
import os
def handler(event, context):
    if event:
        os._exit(4)
    return os.environ["AWS_EXECUTION_ENV"]
"""


@pytest.mark.parametrize("program", ["runc", "runsc"])
@pytest.mark.parametrize("with_extension", [False, True], ids=["alone", "with an extension"])
def test_a_runtime_that_ends_starts_again_also_by_another_python_than_ours(
    tmp_path: Path, with_extension: bool, program: str
) -> None:
    needs_program(program, program)
    with Server.start(tmp_path / "data", "--sandbox", "oci", "--oci-runtime", program) as server:
        client = server.client("lambda")
        files = {"extensions/agent": agent()} if with_extension else {"nothing": ""}
        layers = [publish(client, "agents", files, executable=True)]
        health = json.loads(urllib.request.urlopen(f"{server.url}/_lambent/health", timeout=10).read())
        runtimes = [*sorted(set(health["runtimes"]) - {RUNTIME})[-1:], RUNTIME]
        for number, runtime in enumerate(runtimes):
            name = f"ends{number}"
            create_function(client, name, ENDS, Runtime=runtime, Layers=layers, Timeout=20)
            for event, answer in ((0, runtime), (1, "Runtime.ExitError"), (0, runtime), (1, "Runtime.ExitError")):
                reply = client.invoke(FunctionName=name, Payload=json.dumps(event).encode())
                payload = json.loads(reply["Payload"].read())
                assert (payload["errorType"] if event else payload) == (answer if event else f"AWS_Lambda_{answer}")
