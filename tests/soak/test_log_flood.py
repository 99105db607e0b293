"""A function that writes log for all of its 20 s, a gigabyte where the machine takes it so fast: the server stays as
small as it was, and a neighbour is served meanwhile."""

from pathlib import Path

from lambent.testing.running_server import Server
from tests.e2e.packages import create_function
from tests.e2e.test_hostile_functions import HOSTILE, hurts_only_itself


def test_a_flood_of_log_for_as_long_as_a_function_may_run(tmp_path: Path) -> None:
    with Server.start(tmp_path / "data") as server:
        client = server.client("lambda", read_timeout_s=60.0)
        create_function(client, "hostile", HOSTILE, Timeout=20, MemorySize=1769)
        create_function(client, "neighbour")
        hurts_only_itself(server, "long_flood")
