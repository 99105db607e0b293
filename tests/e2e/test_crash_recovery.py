"""kill -9 of the supervisor at random instants under load: nothing acknowledged is lost, nothing is left running.

`LAMBENT_CRASH_ROUNDS` sets how many kills (6 here, 50 in `make soak`), `LAMBENT_CRASH_SEED` repeats a run.
"""

import json
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from lambent.testing.running_server import Server, ServerFailed
from tests.e2e.census import Census, Process, census, eventually
from tests.e2e.conftest import SANDBOX
from tests.e2e.ledger import Writer, read
from tests.e2e.packages import create_function, wait_active, wait_updated

ROUNDS = int(os.environ.get("LAMBENT_CRASH_ROUNDS", "6"))
SEED = int(os.environ.get("LAMBENT_CRASH_SEED") or random.SystemRandom().randrange(1 << 32))
WRITERS = 3
DEATH_S = 5.0
"""In this time after the kill no process of the server may live, user code included."""

pytestmark = pytest.mark.timeout(90 + 25 * ROUNDS)

STUBBORN = """
import os, signal, time

def handler(event, context):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    for _ in range(2):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(600)
            os._exit(0)
    open("/tmp/started", "w").close()
    time.sleep(600)
"""


@pytest.fixture
def host() -> Iterator[Census]:
    with census() as taken:
        yield taken


def test_acknowledged_writes_survive_kills_and_nothing_is_left(
    start_server: Callable[..., Server], host: Census, record_property: Callable[[str, object], None]
) -> None:
    print(f"LAMBENT_CRASH_SEED={SEED} rounds={ROUNDS}")
    record_property("seed", SEED)
    rng = random.Random(SEED)
    writers = [Writer(number, random.Random(rng.random())) for number in range(WRITERS)]
    server = start_server()
    for name, text in (("load-stubborn", STUBBORN), ("load-echo", "def handler(event, context):\n    return event\n")):
        create_function(server.client("lambda"), name, text, Timeout=900)
    for number in range(ROUNDS):
        kill_after_s = rng.uniform(0.05, 1.5)
        _load_until_killed(server, host, writers, kill_after_s)
        alive = eventually(host.processes, timeout_s=DEATH_S)
        assert not alive, f"round {number}: user code outlives the supervisor: {alive}"

        server = start_server()
        host.processes()
        _assert_ledgers(server, writers, f"round {number}, seed {SEED}, killed after {kill_after_s:.3f} s")
        left = eventually(partial(host.left, server.pid), timeout_s=DEATH_S)
        assert not left, f"round {number}: left by the killed server: {left}"
    server.terminate()
    assert not eventually(host.left, timeout_s=DEATH_S)
    print(f"{sum(writer.acknowledged for writer in writers)} acknowledged writes over {ROUNDS} kills")


def test_user_code_dies_with_the_supervisor(start_server: Callable[..., Server], host: Census) -> None:
    server = start_server()
    create_function(server.client("lambda"), "stubborn", STUBBORN, Timeout=900)
    with ThreadPoolExecutor(1) as pool:
        invoked = pool.submit(_invoke_forever, server, "stubborn")
        # The handler and its two daemons, detached twice and deaf to signals.
        running = eventually(partial(_runtimes, host), timeout_s=15, until=lambda found: len(found) >= 3)
        assert len(running) >= 3, host.processes()
        server.kill()
        assert not eventually(host.processes, timeout_s=DEATH_S)
        assert isinstance(invoked.exception(timeout=30), BotoCoreError)
    again = start_server()
    assert not eventually(partial(host.left, again.pid), timeout_s=DEATH_S)


def test_nothing_is_left_when_the_launcher_is_killed_too(start_server: Callable[..., Server], host: Census) -> None:
    server = start_server()
    create_function(server.client("lambda"), "stubborn", STUBBORN, Timeout=900)
    create_function(server.client("lambda"), "idle")
    server.client("lambda").invoke(FunctionName="idle")
    with ThreadPoolExecutor(1) as pool:
        pool.submit(_invoke_forever, server, "stubborn")
        assert eventually(partial(_runtimes, host), timeout_s=15, until=lambda found: len(found) >= 4)
        for each in [each for each in host.processes() if each.parent == server.pid]:
            os.kill(each.pid, signal.SIGKILL)
        server.kill()
    again = start_server()
    assert not eventually(partial(host.left, again.pid), timeout_s=DEATH_S)


def test_kill_while_starting_leaves_a_data_dir_that_starts(tmp_path: Path, host: Census) -> None:
    rng = random.Random(SEED)
    data_dir = tmp_path / "data"
    for _ in range(4):
        try:
            Server.start(data_dir, "--sandbox", SANDBOX, timeout_s=rng.uniform(0.02, 0.3)).kill()
        except ServerFailed:
            pass
        assert not eventually(host.processes, timeout_s=DEATH_S)
    with Server.start(data_dir, "--sandbox", SANDBOX) as server:
        create_function(server.client("lambda"), "after")
        answer = server.client("lambda").invoke(FunctionName="after", Payload=b"1")
        assert json.load(answer["Payload"]) == 1
    assert not eventually(host.left, timeout_s=DEATH_S)


def _runtimes(host: Census) -> list[Process]:
    return [each for each in host.processes() if "bootstrap" in each.command]


def _load_until_killed(server: Server, host: Census, writers: list[Writer], kill_after_s: float) -> None:
    """Run all clients, kill the supervisor in their midst, and return when each has seen its connection fail.

    Raises what a client saw that was neither an answer it may get nor the crash.
    """
    killed = threading.Event()
    trouble = threading.Event()

    def until_crash(step: Callable[[], object]) -> None:
        while not trouble.is_set():
            try:
                step()
            except BotoCoreError:
                # Botocore may report the broken connection before the killer has got back from `kill`.
                if killed.wait(5):
                    return
                trouble.set()
                raise
            except BaseException:
                trouble.set()
                raise

    client = server.client("lambda")
    jobs: list[Callable[[], object]] = [partial(writer.write, client) for writer in writers]
    jobs += [
        lambda: _invoke_echo(client),
        lambda: _invoke_echo(client),
        lambda: _invoke_forever(server, "load-stubborn"),
    ]
    jobs += [lambda: _invoke_written(client, writers)]
    with ThreadPoolExecutor(len(jobs)) as pool:
        running: list[Future[None]] = [pool.submit(until_crash, job) for job in jobs]
        trouble.wait(kill_after_s)
        host.processes()
        killed.set()
        server.kill()
        for each in running:
            each.result(timeout=40)


def _invoke_echo(client: Any) -> None:
    answer = client.invoke(FunctionName="load-echo", Payload=b'{"a":1}')
    assert "FunctionError" not in answer, answer["Payload"].read()
    assert json.load(answer["Payload"]) == {"a": 1}


def _invoke_forever(server: Server, name: str) -> None:
    """Answers only by a crash: the function sleeps for longer than any test."""
    server.client("lambda", read_timeout_s=60).invoke(FunctionName=name)
    raise AssertionError("a function that sleeps has answered")


def _invoke_written(client: Any, writers: list[Writer]) -> None:
    """Invoke some function that is being changed: any answer but a fault of the server's is right."""
    names = [name for writer in writers for name in list(writer.ledger)]
    try:
        client.invoke(FunctionName=random.choice(names) if names else "load-echo")
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
            raise


def _assert_ledgers(server: Server, writers: list[Writer], when: str) -> None:
    client = server.client("lambda")
    held = read(client, "crash-")
    for writer in writers:
        own = {name: entry for name, entry in held.items() if name.startswith(f"crash-{writer.number}-")}
        assert not (wrong := writer.reconcile(own)), f"{when}: {wrong}"
        for name, entry in writer.ledger.items():
            wait_active(client, name)
            wait_updated(client, name)
            if writer.rng.random() < 0.3:
                answer = client.invoke(FunctionName=name)
                assert json.load(answer["Payload"]) == writer.markers[entry.sha256], f"{when}: {name} runs other code"
