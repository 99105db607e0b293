"""The disk of the data dir is full: nothing new is started, what is there goes on, and room comes back by itself."""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambent.testing.running_server import COMMAND, Server
from tests.e2e.census import eventually
from tests.e2e.packages import create_function

FILLS = """
import os, time
def handler(event, context):
    written = 0
    try:
        with open("/tmp/large", "wb", buffering=0) as file:
            while written < 400 << 20:
                written += file.write(bytes(4 << 20))
                os.fsync(file.fileno())
    except OSError as error:
        print("full", error, flush=True)
    while context.get_remaining_time_in_millis() > 10_000:
        time.sleep(0.05)
    return written >> 20
"""
SMALL = 'mount -t tmpfs -o size=300m small "$0" && exec "$@"'

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small disk of its own"),
    pytest.mark.timeout(90),
]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    small = tmp_path / "small"
    command = ("unshare", "--mount", "sh", "-c", SMALL, str(small), str(COMMAND))
    with Server.start(small / "data", command=command) as started:
        yield started


def test_no_environment_is_started_while_the_disk_is_full(server: Server) -> None:
    client = server.client("lambda")
    create_function(client, "fills", FILLS, Timeout=25)
    for name in ("refused", "welcome"):
        create_function(client, name)
    with ThreadPoolExecutor(1) as pool:
        filling = pool.submit(invoke, server, "fills")
        assert eventually(lambda: free_mb(server), timeout_s=15, until=lambda free: free < 8) < 8
        with pytest.raises(ClientError, match="Rate Exceeded"):
            invoke(server, "refused")
        assert 200 < filling.result(40) <= 304, "megabytes that the disk had"
    assert invoke(server, "welcome") == {}, "the idle environment went and gave room"
    said = (server.data_dir.with_name("data.log")).read_text()
    assert said.count("no environment is started until there is more") == 1
    create_function(client, "later")
    assert invoke(server, "later") == {}


def free_mb(server: Server) -> int:
    disk = os.statvfs(f"/proc/{server.pid}/root{server.data_dir}")
    return disk.f_bavail * disk.f_frsize >> 20


def invoke(server: Server, name: str) -> Any:
    return json.load(server.client("lambda", read_timeout_s=60.0).invoke(FunctionName=name)["Payload"])
