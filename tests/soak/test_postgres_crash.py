"""Kills of PostgreSQL amid thousands of accepted events."""

import random
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from lambent.testing.running_server import Server
from tests.certificates import certify
from tests.e2e.packages import create_function
from tests.e2e.test_events import EVENTS, SEED
from tests.e2e.test_events import KILLS as KILLS_OF_LAMBENT
from tests.e2e.test_postgres import PRINTS_LATE, Load
from tests.postgres import Cluster

KILLS = KILLS_OF_LAMBENT // 3
"""Each takes the seconds for which a commit whose answer was lost is waited for."""


@pytest.mark.timeout(120 + 20 * KILLS + EVENTS // 5)
def test_no_accepted_event_is_lost_by_kills_of_postgresql(
    start_server: Callable[..., Server], tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Amid accepted events, over TLS that verifies the server. Lambent goes on as it is, and callers are told."""
    record_property("seed", SEED)
    rng = random.Random(SEED)
    cluster = Cluster(durable=True)
    try:
        certified = certify(tmp_path)
        cluster.listen(certified)
        cluster.create()
        url = cluster.tls_url("test_1", sslmode="verify-full", sslrootcert=str(certified.authority))
        server = start_server("--database", url)
        create_function(server.client("lambda"), "f", PRINTS_LATE)
        load = Load(server)
        for number in range(KILLS):
            assert load.reaches(EVENTS * (number + 1) // (KILLS + 1))
            cluster.kill()
            assert load.is_refused()
            # Who waits for the answer needs no database.
            assert server.client("lambda").invoke(FunctionName="f", Payload=b'{"n": -1}')["StatusCode"] == 200
            threading.Event().wait(rng.uniform(0, 0.5))
            cluster.start()
        assert load.reaches(EVENTS)
        load.end()
        twice = load.all_executed()
        assert load.refused <= {429, 500, 503}
        print(f"{len(load.accepted)} accepted, {load.refusals} refused, {twice} twice, {KILLS} kills")
        record_property("twice", twice)
        assert server.client("lambda").list_functions()["Functions"]
        assert server.terminate() == 0
    finally:
        cluster.close()
