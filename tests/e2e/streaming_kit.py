"""A function that streams: its wrapper script is a runtime of its own, over the public Runtime API alone.

What it streams are the `parts` of its event: `text`; `size` bytes, `count` times; the time, as `stamp`, and so
many seconds without a word; `until_tagged` waits for a tag of the function; `exit` ends the process.
"""

import io
import zipfile
from typing import Any

from tests.e2e.packages import ROLE, RUNTIME, wait_active

RUNTIME_LOOP = '''#!{interpreter}
import base64, http.client, json, os, sys, time

MODE = "Lambda-Runtime-Function-Response-Mode"


def chunks(event):
    for part in event.get("parts", ()):
        if "until_tagged" in part:
            client = aws()
            while part["until_tagged"] not in client.list_tags(Resource=part["arn"])["Tags"]:
                time.sleep(0.01)
        elif "size" in part:
            block = b"x" * part["size"]
            for _ in range(part["count"]):
                yield block
        elif "stamp" in part:
            yield b"%d\\n" % time.monotonic_ns()
            time.sleep(part["stamp"])
        elif "exit" in part:
            os._exit(part["exit"])
        else:
            yield part["text"].encode()


def aws():
    """Out of band: the API of the server, which the client can write to as well."""
    sys.path.append(os.environ["LAMBDA_RUNTIME_DIR"])
    import boto3
    return boto3.client("lambda")


def stream(api, request_id, event):
    kind = event.get("type", "text/plain")
    api.putrequest("POST", "/2018-06-01/runtime/invocation/%s/response" % request_id)
    api.putheader(MODE, "streaming")
    api.putheader("Content-Type", kind)
    api.putheader("Transfer-Encoding", "chunked")
    api.putheader("Trailer", "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body")
    api.endheaders()
    for chunk in chunks(event):
        api.send(b"%x\\r\\n%b\\r\\n" % (len(chunk), chunk))
    end = b"0\\r\\n"
    if "error" in event:
        body = base64.b64encode(json.dumps(dict(errorMessage=event["error"], errorType="Late")).encode())
        end += b"Lambda-Runtime-Function-Error-Type: Function.Late\\r\\n"
        end += b"Lambda-Runtime-Function-Error-Body: " + body + b"\\r\\n"
    api.send(end + b"\\r\\n")


api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
while True:
    api.request("GET", "/2018-06-01/runtime/invocation/next")
    reply = api.getresponse()
    event = json.loads(reply.read())
    if "rawPath" in event:
        event = json.loads(event["body"])
    stream(api, reply.headers["Lambda-Runtime-Aws-Request-Id"], event)
    api.getresponse().read()
'''


def package() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        interpreter = f"/usr/bin/env {RUNTIME}"
        for name, text, mode in (("loop", RUNTIME_LOOP.format(interpreter=interpreter), 0o755), ("app.py", "", 0o644)):
            entry = zipfile.ZipInfo(name, date_time=(2026, 1, 1, 0, 0, 0))
            entry.external_attr = (0o100000 | mode) << 16
            archive.writestr(entry, text)
    return buffer.getvalue()


def create_streaming(client: Any, name: str, **members: Any) -> None:
    client.create_function(
        FunctionName=name,
        Runtime=RUNTIME,
        Role=ROLE,
        Handler="app.handler",
        Code={"ZipFile": package()},
        Environment={"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "/var/task/loop"}},
        **({"Timeout": 30, "MemorySize": 512} | members),
    )
    wait_active(client, name)
