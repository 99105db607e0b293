"""Deploying through the public API: what is there, what differs, and the calls that make it so.

Each change is followed to its end: a function that cannot run is a failure of the deployment, with AWS's reason.
"""

import base64
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from lambent.cli.client import Client
from lambent.cli.failure import REFUSED, Failure

FUNCTIONS: Final = "/2015-03-31/functions"
SETTLING_S: Final = 300.0
"""How long a transition may take; the server unpacks at most 250 MB."""
FIRST_PAUSE_S: Final = 0.002
LONGEST_PAUSE_S: Final = 0.1

Configuration = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the user asked for. None, or nothing: as it is, and AWS's default in a new function."""

    name: str
    runtime: str | None = None
    handler: str | None = None
    role: str | None = None
    memory_mb: int | None = None
    timeout_s: int | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    """Set beside those that the function has."""
    layers: tuple[str, ...] = ()
    architecture: str | None = None

    def settings(self, current: Configuration) -> dict[str, Any]:
        """Members of the request that differ from `current`."""
        members: dict[str, Any] = {
            "Runtime": self.runtime,
            "Handler": self.handler,
            "Role": self.role,
            "MemorySize": self.memory_mb,
            "Timeout": self.timeout_s,
        }
        different = {name: value for name, value in members.items() if value not in (None, current.get(name))}
        present = (current.get("Environment") or {}).get("Variables") or {}
        if (together := {**present, **self.variables}) != present:
            different["Environment"] = {"Variables": together}
        layers = [layer["Arn"] for layer in current.get("Layers") or ()]
        if self.layers and list(self.layers) != layers:
            different["Layers"] = list(self.layers)
        return different


class Deployment:
    """One function of one server."""

    def __init__(self, client: Client, name: str, show: Callable[[str], None]) -> None:
        self._client = client
        self._show = show
        self.name = name
        self._path = f"{FUNCTIONS}/{quote(name, safe='')}"

    def find(self) -> Configuration | None:
        """Its configuration; None when there is no such function."""
        try:
            found: Configuration = self._client.get(f"{self._path}/configuration")
        except Failure as failure:
            if failure.exit_code == REFUSED and failure.message.startswith("ResourceNotFoundException"):
                return None
            raise
        return found

    def create(self, wanted: Wanted, package: bytes) -> Configuration:
        self._show(f"creating {self.name}")
        body: dict[str, Any] = {"FunctionName": self.name, "Code": {"ZipFile": base64.b64encode(package).decode()}}
        if wanted.architecture is not None:
            body["Architectures"] = [wanted.architecture]
        self._send("POST", FUNCTIONS, body | wanted.settings({}))
        return self.settled()

    def configure(self, settings: Mapping[str, Any]) -> Configuration:
        self._show(f"configuring {self.name}")
        self._send("PUT", f"{self._path}/configuration", settings)
        return self.settled()

    def put_code(self, package: bytes) -> Configuration:
        self._show(f"updating {self.name}")
        # Put together by hand: a JSON encoder would look at each of the many characters.
        self._put_json("PUT", f"{self._path}/code", b'{"ZipFile":"' + base64.b64encode(package) + b'"}')
        return self.settled()

    def settled(self) -> Configuration:
        """Its configuration when no transition is under way. Raises `Failure` when the last one failed."""
        deadline = time.monotonic() + SETTLING_S
        pause = FIRST_PAUSE_S
        while True:
            found: Configuration = self._client.get(f"{self._path}/configuration")
            if found.get("State") != "Pending" and found.get("LastUpdateStatus") != "InProgress":
                break
            if time.monotonic() > deadline:
                raise Failure(f"{self.name} is still {found.get('State')} after {SETTLING_S:g} s", REFUSED)
            self._show(f"{self.name} is {found.get('State')}, update {found.get('LastUpdateStatus') or 'none'}")
            time.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE_S)
        if found.get("State") == "Failed":
            raise Failure(f"{self.name} cannot run: {found.get('StateReason')}", REFUSED)
        if found.get("LastUpdateStatus") == "Failed":
            raise Failure(f"the update failed, the old one serves: {found.get('LastUpdateStatusReason')}", REFUSED)
        return found

    def _send(self, method: str, path: str, body: Mapping[str, Any]) -> None:
        self._put_json(method, path, json.dumps(body).encode())

    def _put_json(self, method: str, path: str, body: bytes) -> None:
        self._client.call(method, path, None, body, {"content-type": "application/json"})


def code_sha256(package: bytes) -> str:
    """As the API tells it."""
    return base64.b64encode(hashlib.sha256(package).digest()).decode()
