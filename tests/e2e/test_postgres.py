"""`lambent up --database postgresql://...`: what it accepted is there after a kill of either side."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambent.testing.running_server import Server, ServerFailed
from tests.e2e.census import eventually
from tests.e2e.packages import create_function
from tests.e2e.test_events import printed
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


def test_a_crash_of_postgresql_is_survived(start_server: Callable[..., Server], url: str, cluster: Cluster) -> None:
    server = start_server("--database", url)
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
