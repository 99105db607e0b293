"""The disk of the data dir is full: nothing new is started, what is there goes on, and room comes back by itself."""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambent.testing.running_server import Server
from tests.e2e.census import eventually
from tests.e2e.packages import create_function
from tests.e2e.small_disk import server_on_small_disk

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

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small disk of its own"),
    pytest.mark.timeout(90),
]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with server_on_small_disk(tmp_path, 300) as started:
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
