# ruff: noqa: E501 - a table, a case in a line
"""Attempts to speak for another function, account or user: against a server, from inside one of its functions.

Each succeeds for the one whose right it is: for the victim inside its own sandbox, or for the user on the server's port.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lambent.environments.events import HowStarted
from lambent.testing.running_server import Server
from tests.e2e.census import eventually
from tests.e2e.escapes import impostor
from tests.e2e.packages import create_function
from tests.e2e.test_cold_starts import cold_starts, prepared

GUARANTEE = "identity"
PROMISE = "speaks for no other environment, function, account or user"
OTHER_ACCOUNT = "111122223333"
SOURCE = Path(impostor.__file__)
Attempt = list[Any]


@dataclass(frozen=True, slots=True)
class Situation:
    """Who there is: keys of the victim and of a function of another account, requests, the server's port."""

    victim: dict[str, str]
    stranger: dict[str, str]
    impostor: dict[str, str]
    victims_request: str
    earlier_request: str
    port: int

    @property
    def user(self) -> dict[str, str]:
        return {"aws_access_key_id": "000000000000", "aws_secret_access_key": "x", "region_name": "us-east-1"}


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    attempt: Callable[[Situation], Attempt]
    expected: tuple[str, ...]
    rightful: Callable[[Situation], tuple[str, Attempt]]
    """Who may do it (victim, stranger, outside), and with which words."""


def _keys(name: str, given: Callable[[Situation], dict[str, str]]) -> Case:
    return Case(name, lambda at: ["keys", given(at)], ("403",), lambda at: ("victim", ["keys", {}]))


def _path(name: str, path: str, method: str = "GET", host: str | None = None) -> Case:
    outside = "/_lambent/reset" if "reset" in path else "/_lambent/health"
    return Case(
        name,
        lambda at: ["path", path, method, host],
        ("400", "403", "404"),
        lambda at: ("outside", ["path", outside, method, None, at.port]),
    )


def _runtime(name: str, path: str, method: str, *expected: str) -> Case:
    return Case(
        name,
        lambda at: ["runtime", path, method],
        expected,
        lambda at: ("victim", ["runtime", "/2018-06-01/ping", "GET"]),
    )


CASES = [
    _keys("the session of another environment", lambda at: at.victim),
    _keys("the session of another account", lambda at: at.stranger),
    _keys("a user's keys", lambda at: at.user | {"aws_session_token": ""}),
    _keys("made-up keys", lambda at: {"aws_access_key_id": "ASIA" + "A" * 16, "aws_secret_access_key": "x", "aws_session_token": "x"}),
    _keys("its own key with another secret", lambda at: at.impostor | {"aws_secret_access_key": "guessed"}),
    _keys("its own key with another's token", lambda at: at.impostor | {"aws_session_token": at.victim["aws_session_token"]}),
    _keys("its own key without a token", lambda at: at.impostor | {"aws_session_token": "none"}),
    _keys("another's key with its own token", lambda at: at.victim | {"aws_session_token": at.impostor["aws_session_token"]}),
    Case("the server's own port", lambda at: ["keys", at.user | {"aws_session_token": ""}, f"http://127.0.0.1:{at.port}"],
         ("no connection",), lambda at: ("outside", ["keys", at.user, f"http://127.0.0.1:{at.port}"])),
    Case("a function of another account", lambda at: ["invoke", f"arn:aws:lambda:us-east-1:{OTHER_ACCOUNT}:function:stranger"],
         ("403",), lambda at: ("stranger", ["keys", {}])),
    _path("the server's health", "/_lambent/health"),
    _path("the server's health, encoded", "/%5flambent/health"),
    _path("the server's health, behind a slash", "//_lambent/health"),
    _path("the server's health, by `..`", "/2015-03-31/../_lambent/health"),
    _path("the server's health, as for a proxy", "http://localhost/_lambent/health"),
    _path("the server's health, by another host name", "/_lambent/health", host="localhost:4566"),
    _path("the server's reset", "/_lambent/reset", "POST"),
    Case("the answer to another's request", lambda at: ["answer", at.victims_request, "response"], ("400",),
         lambda at: ("victim", ["runtime", "/2018-06-01/ping", "GET"])),
    Case("the failure of another's request", lambda at: ["answer", at.victims_request, "error"], ("400",),
         lambda at: ("victim", ["runtime", "/2018-06-01/ping", "GET"])),
    Case("the answer to a request that is over", lambda at: ["answer", at.earlier_request, "response"], ("400",),
         lambda at: ("victim", ["runtime", "/2018-06-01/ping", "GET"])),
    _runtime("a failure of an Init that is over", "/2018-06-01/runtime/init/error", "POST", "403"),
    _runtime("a restore that never was", "/2018-06-01/runtime/restore/next", "GET", "403", "404"),
    _runtime("the server's health at the Runtime API", "/_lambent/health", "GET", "404"),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outcome:
    rightful: dict[str, str]
    inside: dict[str, str]


WAYS = {HowStarted.EXECUTED: {"PYTHONHASHSEED": "0"}, HowStarted.POOLED: {}}
"""How the environment of the impostor can be started, and variables of a function for which it is."""


def run(server: Server, how: HowStarted) -> Outcome:
    ours, others = server.client("lambda"), server.client("lambda", account=OTHER_ACCOUNT)
    source = SOURCE.read_text()
    for client, name in ((ours, "impostor"), (ours, "victim"), (others, "stranger")):
        variables = WAYS[how] if name == "impostor" else {}
        create_function(client, name, source, Timeout=30, MemorySize=3008, Environment={"Variables": variables})
    callers = dict.fromkeys(("impostor", "victim"), ours) | {"stranger": others}

    def ask(name: str, event: Attempt) -> Any:
        reply = callers[name].invoke(FunctionName=name, Payload=json.dumps(event))
        told = json.load(reply["Payload"])
        assert "FunctionError" not in reply, told
        return told

    eventually(lambda: prepared(server), timeout_s=20, until=bool)
    keys = ask("impostor", ["keys"])
    start, *_ = cold_starts(server, "impostor")
    assert start["how"] == how
    at = Situation(
        victim=ask("victim", ["keys"]),
        stranger=ask("stranger", ["keys"]),
        impostor=keys,
        victims_request=ask("victim", ["request"]),
        earlier_request=ask("impostor", ["request"]),
        port=server.port,
    )
    inside = {case.name: ask("impostor", ["try", *case.attempt(at)]) for case in CASES}
    rightful = {}
    for case in sorted(CASES, key=lambda case: "reset" in case.name):  # Which ends the functions.
        who, event = case.rightful(at)
        rightful[case.name] = impostor.attempt(*event) if who == "outside" else ask(who, ["try", *event])
    return Outcome(rightful, inside)
