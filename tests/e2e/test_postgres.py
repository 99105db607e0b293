"""`lambent up --database postgresql://...`: what it accepted is there after a kill of either side."""

import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambent.testing.running_server import Server, ServerFailed
from tests.certificates import certify
from tests.e2e.census import eventually
from tests.e2e.packages import create_function
from tests.e2e.small_disk import fill_disk
from tests.e2e.test_events import EVENTS, printed
from tests.postgres import Cluster

PRINTS_LATE = """
import json, time

def handler(event, context):
    # What a function has printed in the last moments before a kill may be lost; so it prints after that.
    time.sleep(event.get("wait", 0))
    print("got", json.dumps({"n": event["n"]}))
"""

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    cluster = Cluster(durable=True)
    yield cluster
    cluster.close()


@pytest.fixture
def url(cluster: Cluster) -> str:
    return cluster.create()


def event(server: Server, number: int, wait_s: float = 0) -> Any:
    payload = json.dumps({"n": number, "wait": wait_s}).encode()
    return server.client("lambda").invoke(FunctionName="f", InvocationType="Event", Payload=payload)


def prints(server: Server, *numbers: int) -> None:
    wanted = {f'got {{"n": {number}}}' for number in numbers}
    assert eventually(lambda: set(printed(server, "f")) >= wanted, timeout_s=20, until=bool)


def test_everything_is_there_after_a_kill(
    start_server: Callable[..., Server], url: str, cluster: Cluster, tmp_path: Path
) -> None:
    server = start_server(variables={"LAMBENT_DATABASE": url})
    create_function(server.client("lambda"), "f", PRINTS_LATE, Environment={"Variables": {"STAGE": "b"}})
    reply = server.client("lambda").invoke(FunctionName="f", Payload=b'{"n": 1}')
    assert (reply["StatusCode"], reply["Payload"].read()) == (200, b"null")
    assert event(server, 2)["StatusCode"] == 202
    prints(server, 1, 2)
    for number in range(3, 12):
        event(server, number, wait_s=1)
    server.kill()
    assert not (tmp_path / "data" / "lambent.db").exists()

    again = start_server("--database", url)
    found = again.client("lambda").get_function_configuration(FunctionName="f")
    assert found["Environment"] == {"Variables": {"STAGE": "b"}}
    prints(again, *range(1, 12))
    with pytest.raises(ServerFailed, match=r"in use by another Lambent \(lambent \d+ on"):
        start_server("--database", url, data_dir=tmp_path / "other")
    assert again.terminate() == 0
    with pytest.raises(ServerFailed, match=r"is in postgresql://lambent@/\S+: start with --database"):
        start_server()
    with pytest.raises(ServerFailed, match="belongs to another data directory"):
        start_server("--database", url, data_dir=tmp_path / "other")
    logs = "".join(path.read_text() for path in tmp_path.glob("*.log"))
    assert "postgresql://lambent@/" in logs
    assert cluster.password not in logs + (tmp_path / "data" / "DATABASE").read_text()


def test_a_crash_of_postgresql_is_survived(
    start_server: Callable[..., Server], url: str, cluster: Cluster, tmp_path: Path
) -> None:
    """Over TLS that verifies the server, which the server without privileges does again for each new connection."""
    certified = certify(tmp_path)
    cluster.listen(certified)
    name = url.partition("?")[0].rpartition("/")[2]
    verified = cluster.tls_url(name, sslmode="verify-full", sslrootcert=str(certified.authority))
    server = start_server("--database", verified)
    create_function(server.client("lambda"), "f", PRINTS_LATE)
    assert event(server, 1)["StatusCode"] == 202
    prints(server, 1)
    cluster.crash()
    with pytest.raises(ClientError) as refused:
        event(server, 2)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] >= 500
    # Who waits for the answer needs no database.
    assert server.client("lambda").invoke(FunctionName="f", Payload=b'{"n": 3}')["StatusCode"] == 200
    cluster.start()
    assert event(server, 4)["StatusCode"] == 202
    prints(server, 1, 3, 4)
    assert cluster.password not in server.log()
    assert server.terminate() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small disk of its own")
def test_events_are_refused_on_a_full_disk_of_postgresql_and_none_that_was_accepted_is_lost(
    start_server: Callable[..., Server],
) -> None:
    cluster = Cluster(durable=True, small_mb=64)
    try:
        server = start_server("--database", cluster.on_small_disk())
        create_function(server.client("lambda"), "f", PRINTS_LATE)
        assert server.client("lambda").invoke(FunctionName="f", Payload=b'{"n": -1}')["StatusCode"] == 200
        load = Load(server, pad=20_000)
        assert load.reaches(50)
        fill = cluster.seen_small / "fill"
        fill_disk(fill)
        assert load.is_refused()
        assert server.client("lambda").invoke(FunctionName="f", Payload=b'{"n": -2}')["StatusCode"] == 200
        fill.unlink()
        assert load.reaches(len(load.accepted) + 50)
        load.end()
        load.all_executed()
        assert load.refused <= {429, 500, 503}
        assert server.terminate() == 0
    finally:
        cluster.close()


class Load:
    """Events from four clients, until `end`; what was accepted and what was refused."""

    def __init__(self, server: Server, pad: int = 0) -> None:
        self._server = server
        self._pad = "x" * pad
        self.accepted: set[int] = set()
        self.refused: set[int] = set()
        self.refusals = 0
        self._client = server.client("lambda")
        self._numbers = count()
        self._ended = threading.Event()
        self._pool = ThreadPoolExecutor(4)
        self._senders = [self._pool.submit(self._send) for _ in range(4)]

    def reaches(self, accepted: int) -> bool:
        return eventually(lambda: len(self.accepted) >= accepted or self._broken(), timeout_s=60, until=bool)

    def is_refused(self) -> bool:
        before = self.refusals
        return eventually(lambda: self.refusals > before or self._broken(), timeout_s=30, until=bool)

    def end(self) -> None:
        self._ended.set()
        self._pool.shutdown()
        assert not self._broken()

    def all_executed(self) -> int:
        """How often one was executed again."""
        patience_s = 60 + EVENTS / 20
        found = eventually(self._executed, timeout_s=patience_s, until=lambda found: self.accepted <= found.keys())
        lost = sorted(self.accepted - found.keys())
        assert not lost, f"{len(lost)} lost: {lost[:20]}"
        return sum(found[number] - 1 for number in self.accepted)

    def _executed(self) -> Counter[int]:
        pages = self._server.client("logs").get_paginator("filter_log_events")
        found = pages.paginate(logGroupName="/aws/lambda/f", filterPattern="got")
        messages = [event["message"] for page in found for event in page["events"]]
        return Counter(json.loads(message.removeprefix("got "))["n"] for message in messages)

    def _broken(self) -> bool:
        """Raises what a client has met."""
        for sender in self._senders:
            if sender.done():
                sender.result()
        return False

    def _send(self) -> None:
        while not self._ended.is_set():
            number = next(self._numbers)
            payload = json.dumps({"n": number, "pad": self._pad}).encode()
            try:
                self._client.invoke(FunctionName="f", InvocationType="Event", Payload=payload)
            except ClientError as error:
                self.refused.add(error.response["ResponseMetadata"]["HTTPStatusCode"])
                self.refusals += 1
            else:
                self.accepted.add(number)
