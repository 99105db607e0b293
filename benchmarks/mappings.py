"""Event source mappings: when the last message of a queue has been processed and is gone.

`python -m benchmarks.mappings`. The queue is filled while its mapping is disabled; the time runs from when the mapping
is asked to be enabled until the queue is empty, hidden messages included, so the transition is part of it. The floor is
the same number of invocations with such payloads through the gateway: as many at one time as there are batches at first
(quick), or all (slow).
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.e2e.packages import create_function

from benchmarks import lambent_server, load, report
from benchmarks import measures as m
from benchmarks.conditions import conditions
from benchmarks.lambent_server import must_answer
from benchmarks.samples import Results
from lambent.testing.running_server import Server

ARN = "arn:aws:sqs:us-east-1:000000000000:"
QUICK = "def handler(event, context):\n    return None\n"
SLOW = "import time\n\ndef handler(event, context):\n    time.sleep(0.5)\n"
WAIT_S = 60.0
LOOK_EVERY_S = 0.01


def measure(results: Results, *, sandbox: str) -> None:
    """One round, with a fresh server. Raises ServerFailed or RuntimeError."""
    with (
        tempfile.TemporaryDirectory(prefix="lambent-bench-") as folder,
        lambent_server.start(Path(folder), sandbox) as server,
    ):
        for name, source, messages, batch, at_once, row in (
            ("quick", QUICK, 1000, 10, 5, m.MAPPED_FAST),
            ("slow", SLOW, 100, 5, 20, m.MAPPED_SLOW),
        ):
            create_function(server.client("lambda"), name, source, MemorySize=1769)
            bodies = [f'{{"number": {number}}}' for number in range(messages)]
            # Once before, so that both find the environments that the function has by then.
            _invoked(server, name, bodies, batch, at_once)
            results.add(row.name, m.BARE_INVOKES, _invoked(server, name, bodies, batch, at_once))
            results.add(row.name, m.LAMBENT, _mapped(server, name, bodies, batch))


def _invoked(server: Server, name: str, bodies: list[str], batch: int, at_once: int) -> float:
    records = [
        {"messageId": "0" * 36, "receiptHandle": "r" * 150, "body": body, "awsRegion": "us-east-1"} for body in bodies
    ]
    payload = json.dumps({"Records": records[:batch]}).encode()
    requests = [load.invoke(name, payload, port=server.port)]
    plan = load.Load(port=server.port, requests=requests, connections=at_once, count=len(bodies) // batch)
    outcome = load.run(plan)
    must_answer(outcome, name)
    return outcome.elapsed_s


def _mapped(server: Server, name: str, bodies: list[str], batch: int) -> float:
    client, sqs = server.client("lambda"), server.client("sqs")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    uuid = client.create_event_source_mapping(
        FunctionName=name, EventSourceArn=ARN + name, BatchSize=batch, Enabled=False
    )["UUID"]
    for at in range(0, len(bodies), 10):
        entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies[at : at + 10])]
        sqs.send_message_batch(QueueUrl=url, Entries=entries)
    begun = time.perf_counter()
    client.update_event_source_mapping(UUID=uuid, Enabled=True)
    while _left(sqs, url):
        if time.perf_counter() - begun > WAIT_S:
            raise RuntimeError(f"{_left(sqs, url)} messages are left after {WAIT_S:.0f} s")
        time.sleep(LOOK_EVERY_S)
    return time.perf_counter() - begun


def _left(sqs: Any, url: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(map(int, attributes.values()))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mappings")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="all samples, as JSON")
    parser.add_argument("--sandbox", default="auto")
    options = parser.parse_args()
    before = conditions()
    results = Results()
    for _ in range(options.rounds):
        measure(results, sandbox=options.sandbox)
    if options.json:
        print(json.dumps({"conditions": before.as_dict(), **results.as_json()}, indent=1))
    else:
        report.show(results, [m.BARE_INVOKES], before)


if __name__ == "__main__":
    main()
