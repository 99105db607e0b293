"""`python -m tests.vm.power write|check`, in a virtual machine whose power is cut between the two.

`write` loads a server and prints, for each write, a line once it is acknowledged; nothing of that is kept in the
machine. `check` reads these lines from the second disk and finds every write again.
"""

import base64
import hashlib
import json
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from lambent.testing.running_server import Server
from tests.e2e.packages import ROLE, RUNTIME, create_function, wait_updated, zip_of

DATA = Path("/var/lib/lambent-power/data")
ACKNOWLEDGED = Path("/dev/vdb")
EVENTS = "events"
FAILS = "def handler(event, context):\n    raise RuntimeError('again in a minute')\n"
TELLS = "def handler(event, context):\n    print('event', event, 'is here', flush=True)\n"
LOAD_S, FOUND_S = 600.0, 420.0
_printing = threading.Lock()


def say(*words: str) -> None:
    with _printing:
        print(*words, flush=True)


def source(name: str) -> bytes:
    return zip_of({"app.py": f"def handler(event, context):\n    return {name!r}\n"})


def sha256(package: bytes) -> str:
    return base64.b64encode(hashlib.sha256(package).digest()).decode()


def write() -> int:
    with Server.start(DATA, timeout_s=120) as server:
        # Its events fail and come again after a minute: all are still in the queue when the power goes.
        create_function(server.client("lambda"), EVENTS, FAILS, Timeout=30)
        threads = [threading.Thread(target=_forever, args=(one, server), daemon=True) for one in (_create, _send)]
        for thread in threads:
            thread.start()
        threads[0].join(LOAD_S)
    return 1


def _forever(one: Callable[[Any], None], server: Server) -> None:
    client = server.client("lambda", read_timeout_s=120.0)
    while True:
        one(client)


def _create(client: Any) -> None:
    name = f"f-{uuid.uuid4().hex}"
    request = {"Runtime": RUNTIME, "Role": ROLE, "Handler": "app.handler", "Code": {"ZipFile": source(name)}}
    client.create_function(FunctionName=name, **request)
    say("acked", "function", name)


def _send(client: Any) -> None:
    number = uuid.uuid4().hex
    client.invoke(FunctionName=EVENTS, InvocationType="Event", Payload=json.dumps(number).encode())
    say("acked", "event", number)
    time.sleep(0.2)  # The other kind of write wants its turns on an emulated machine.


def check() -> int:
    lines = ACKNOWLEDGED.read_bytes().rstrip(b"\0").decode().splitlines()
    functions = {line.split()[2] for line in lines if line.startswith("acked function ")}
    events = {line.split()[2] for line in lines if line.startswith("acked event ")}
    with Server.start(DATA, timeout_s=120) as server:
        client = server.client("lambda", read_timeout_s=120.0)
        client.update_function_code(FunctionName=EVENTS, ZipFile=zip_of({"app.py": TELLS}))
        wait_updated(client, EVENTS)
        lost = [name for name in functions if not _held(client, name)]
        sample = min(functions)
        answer = json.load(client.invoke(FunctionName=sample)["Payload"])
        missing = _not_seen(server.client("logs", read_timeout_s=120.0), events)
    say(f"functions: {len(functions)} acknowledged, {len(lost)} lost; events: {len(events)}, {len(missing)} lost")
    for name in (*lost, *missing):
        say("lost", name)
    return 1 if lost or missing or answer != sample or not functions or not events else 0


def _held(client: Any, name: str) -> bool:
    found: str = client.get_function_configuration(FunctionName=name)["CodeSha256"]
    return found == sha256(source(name))


def _not_seen(logs: Any, events: Iterable[str]) -> set[str]:
    """Those that the function has not told of within the time."""
    deadline = time.monotonic() + FOUND_S
    missing = set(events)
    while missing and time.monotonic() < deadline:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{EVENTS}")
        text = "".join(event["message"] for page in pages for event in page["events"])
        missing = {number for number in missing if f"event {number} is here" not in text}
        time.sleep(1)
    return missing


if __name__ == "__main__":
    sys.exit(check() if sys.argv[1] == "check" else write())
