"""Extensions as small programs: a prelude that speaks the Extensions API, and what a test adds to it."""

import textwrap

PRELUDE = '''\
#!/usr/bin/env python3
import http.client, json, os, signal, sys, time

NAME = os.path.basename(sys.argv[0])
MINE = {}

def call(method, path, headers=None, body=None):
    """A connection for each call, as simple clients do; waits as long as it takes."""
    api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    api.request(method, "/2020-01-01/extension" + path, body=body, headers={**MINE, **(headers or {})})
    reply = api.getresponse()
    answer = reply.read()
    api.close()
    return reply, answer

def register(*events, name=NAME):
    reply, answer = call("POST", "/register", {"Lambda-Extension-Name": name}, json.dumps({"events": events}))
    if reply.status == 200:
        MINE["Lambda-Extension-Identifier"] = reply.headers["Lambda-Extension-Identifier"]
    return reply.status, json.loads(answer)

def next_event():
    return json.loads(call("GET", "/event/next")[1])

def report(phase, kind):
    return call("POST", f"/{phase}/error", {"Lambda-Extension-Function-Error-Type": kind})[0].status

def say(*words):
    print(f"[{NAME}]", *words, flush=True)

def serve(*events):
    register(*events)
    while True:
        event = next_event()
        say(event["eventType"], event.get("shutdownReason", ""))
        if event["eventType"] == "SHUTDOWN":
            return
'''

SERVES = 'serve("INVOKE", "SHUTDOWN")'


def agent(body: str = SERVES) -> str:
    """The text of an extension whose work is `body`."""
    return PRELUDE + "\n" + textwrap.dedent(body)


SHELL = """\
    #!/bin/sh
    # Without any client but what a shell can do: python3 is the client.
    echo "[shell] starts in $(pwd) with ${AWS_LAMBDA_FUNCTION_NAME} and '${_HANDLER}'"
    exec python3 - <<'PROGRAM'
    import http.client, json, os
    api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    api.request("POST", "/2020-01-01/extension/register", json.dumps({"events": ["INVOKE"]}),
                {"Lambda-Extension-Name": "shell"})
    mine = {"Lambda-Extension-Identifier": api.getresponse().headers["Lambda-Extension-Identifier"]}
    while True:
        api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
        api.request("GET", "/2020-01-01/extension/event/next", headers=mine)
        print("[shell]", json.loads(api.getresponse().read())["eventType"], flush=True)
    PROGRAM
"""
