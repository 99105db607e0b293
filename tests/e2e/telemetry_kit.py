"""Extensions that subscribe, as programs of a layer: what they were told is in a file that the function can read."""

import os
import sys
from pathlib import Path
from typing import Any

import orjson

from lambent.core import ids
from lambent.functions.records import CodePackage, LayerReference
from tests.e2e.invoke_kit import Machine

AGENT = """\
#!/var/lang/bin/python{version}
import http.server, json, os, socket, sys, threading, time, urllib.error, urllib.request

API = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"]
NAME = os.path.basename(sys.argv[0])
WISH = json.loads({wish!r})
KEPT = "/tmp/" + NAME
taken = 0

def keep(events):
    if WISH.get("forgets"):
        return
    with open(KEPT, "a") as kept:
        kept.writelines(json.dumps(event) + "\\n" for event in events)

class Listener(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        global taken
        body = self.rfile.read(int(self.headers["Content-Length"]))
        taken += 1
        if taken <= WISH.get("refuse", 0):
            self.send_response(500)
        else:
            keep(json.loads(body))
            self.send_response(200)
        self.end_headers()
    do_PUT = do_POST
    def log_message(self, *arguments):
        pass

def listen():
    server = socket.create_server(("127.0.0.1", WISH["port"]))
    if WISH["listens"] == "http":
        web = http.server.HTTPServer(("127.0.0.1", WISH["port"]), Listener, bind_and_activate=False)
        web.socket = server
        threading.Thread(target=web.serve_forever, daemon=True).start()
    elif WISH["listens"] == "tcp":
        def lines():
            while True:
                for line in server.accept()[0].makefile():
                    keep([json.loads(line)])
        threading.Thread(target=lines, daemon=True).start()
    elif WISH["listens"] == "deaf":
        def deaf():
            held = []
            while True:
                held.append(server.accept()[0])
        threading.Thread(target=deaf, daemon=True).start()
    else:
        # Nobody accepts: the queue of the port fills up.
        WISH["held"] = server

def call(path, method, body=None, **headers):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(API + path, data=data, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, dict(answer.headers), answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read().decode()

_, headers, _ = call("/2020-01-01/extension/register", "POST", {{"events": WISH["events"]}},
                     **{{"Lambda-Extension-Name": NAME}})
ME = {{"Lambda-Extension-Identifier": headers["Lambda-Extension-Identifier"]}}
listen()
answer = call(WISH["path"], "PUT", WISH["subscription"], **ME)
with open(KEPT + ".answer", "w") as kept:
    kept.write(json.dumps([answer[0], answer[2]]))
if WISH.get("says"):
    print(WISH["says"], flush=True)
while True:
    status, _, event = call("/2020-01-01/extension/event/next", "GET", **ME)
    if WISH.get("late"):
        late = call(WISH["path"], "PUT", WISH["subscription"], **ME)
        with open(KEPT + ".late", "w") as kept:
            kept.write(json.dumps([late[0], late[2]]))
    if status != 200 or json.loads(event)["eventType"] == "SHUTDOWN":
        break
    # What is told of the invocation before comes while this one runs.
    time.sleep(WISH.get("pause", 0))
"""

READER = """
import json, os, time
def read(path):
    try:
        with open(path) as kept:
            return [json.loads(line) for line in kept]
    except FileNotFoundError:
        return []
def handler(event, context):
    print("asked", event)
    if isinstance(event, dict) and "sleep" in event:
        time.sleep(event["sleep"])
    if isinstance(event, dict) and "type" in event:
        # Until something of this type and status has come, or the function's time is over.
        def fits(found):
            return found["type"] == event["type"] and event.get("status") in (None, found["record"].get("status"))
        while not any(fits(found) for found in read("/tmp/" + event["of"])):
            time.sleep(0.01)
    return {name: read("/tmp/" + name) for name in os.listdir("/tmp") if os.path.isfile("/tmp/" + name)}
"""


FLOOD = """
import os
def handler(event, context):
    line = b"x" * 99 + b"\\n"
    for _ in range(event["mb"] * 10):
        os.write(1, line * 1000)
    return "done"
"""
FLOOD_KB = 32 * 1024
"""What a flood may cost the server: 16 MB of lines that the store is late with, and their way into it. A store that
keeps up leaves 8 MB, with or without subscribers."""


def subscription(port: int, **changes: Any) -> dict[str, Any]:
    return {
        "schemaVersion": "2022-12-13",
        "types": ["platform", "function", "extension"],
        "destination": {"protocol": "HTTP", "URI": f"http://sandbox.localdomain:{port}/telemetry"},
        "buffering": {"timeoutMs": 25},
    } | changes


def agent(
    port: int = 8080,
    *,
    listens: str = "http",
    path: str = "/2022-07-01/telemetry",
    subscription: dict[str, Any],
    events: tuple[str, ...] = ("INVOKE", "SHUTDOWN"),
    **wishes: Any,
) -> str:
    wish = {"port": port, "listens": listens, "path": path, "subscription": subscription, "events": events} | wishes
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return AGENT.format(version=version, wish=orjson.dumps(wish).decode())


def layer(machine: Machine, **agents: str) -> tuple[LayerReference, ...]:
    """One with these programs in `extensions`."""
    digest = ids.hex32() + ids.hex32()
    folder: Path = machine._root / digest / "extensions"
    folder.mkdir(parents=True)
    os.chmod(folder.parent, 0o755)
    os.chmod(folder, 0o755)
    for name, program in agents.items():
        (folder / name).write_text(program)
        os.chmod(folder / name, 0o755)
    arn = "arn:aws:lambda:us-east-1:000000000000:layer:agents:1"
    return (LayerReference(arn=arn, code=CodePackage(digest, 1, 1)),)


def flood(client: Any, name: str, megabytes: int) -> None:
    """An invocation of a function made of `FLOOD`."""
    answer = client.invoke(FunctionName=name, Payload=orjson.dumps({"mb": megabytes}))
    assert answer["Payload"].read() == b'"done"'
