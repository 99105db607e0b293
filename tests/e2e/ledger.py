"""What clients have been told: acknowledged control-plane writes, and the one write in doubt when a server dies.

A `Writer` owns its functions alone, so its ledger is exact: after a crash the server must hold what the ledger says,
or that plus the write that was on its way.
"""

import base64
import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from botocore.exceptions import ClientError

from tests.e2e.packages import ROLE, RUNTIME, zip_of

CONFLICT = "ResourceConflictException"


@dataclass(frozen=True, slots=True)
class Version:
    sha256: str
    description: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A function as it was acknowledged."""

    sha256: str
    description: str
    tags: tuple[tuple[str, str], ...] = ()
    versions: tuple[tuple[str, Version], ...] = ()
    """By number."""


Ledger = dict[str, Entry]


def source(marker: str) -> bytes:
    return zip_of({"app.py": f"def handler(event, context):\n    return {marker!r}\n"})


def sha256(package: bytes) -> str:
    """CodeSha256 as the API shows it."""
    return base64.b64encode(hashlib.sha256(package).digest()).decode()


@dataclass(slots=True)
class Writer:
    """One client: random writes from its own seed, each written into the ledger once it is acknowledged."""

    number: int
    rng: random.Random
    ledger: Ledger = field(default_factory=dict)
    in_doubt: tuple[str, Entry | None] | None = None
    """(function, what it is if the unacknowledged write took place)"""
    acknowledged: int = 0
    markers: dict[str, str] = field(default_factory=dict)
    """CodeSha256 -> what its handler returns."""
    _counter: int = 0

    def write(self, client: Any) -> None:
        """One random write. Raises what the client raises; then `in_doubt` says which write may have taken place."""
        name, change, entry = self._choose(client)
        self.in_doubt = (name, entry)
        try:
            change()
        except ClientError as error:
            # An answer, so no doubt; and a busy function may refuse a change.
            self.in_doubt = None
            if error.response["Error"]["Code"] != CONFLICT:
                raise
            return
        self.in_doubt = None
        self.acknowledged += 1
        self._set(name, entry)

    def _choose(self, client: Any) -> tuple[str, Callable[[], object], Entry | None]:
        """(function, the call, what the function is after it)"""
        names = sorted(self.ledger)
        kinds = ["create"] * 3 if len(names) < 6 else []
        if names:
            kinds += ["code", "code", "configuration", "configuration", "tag", "tag", "publish", "publish", "delete"]
        kind = self.rng.choice(kinds)
        self._counter += 1
        text = f"{self.number}-{self._counter}"
        if kind == "create":
            package = self._package(text)
            name = f"crash-{text}"
            return (
                name,
                lambda: client.create_function(
                    FunctionName=name,
                    Runtime=RUNTIME,
                    Role=ROLE,
                    Handler="app.handler",
                    Description=text,
                    Code={"ZipFile": package},
                ),
                Entry(sha256(package), text),
            )
        name = self.rng.choice(names)
        entry = self.ledger[name]
        if kind == "code":
            package = self._package(text)
            return (
                name,
                lambda: client.update_function_code(FunctionName=name, ZipFile=package),
                replace(entry, sha256=sha256(package)),
            )
        if kind == "configuration":
            return (
                name,
                lambda: client.update_function_configuration(FunctionName=name, Description=text),
                replace(entry, description=text),
            )
        if kind == "tag":
            key = f"k{self.rng.randrange(4)}"
            arn = f"arn:aws:lambda:us-east-1:000000000000:function:{name}"
            return (
                name,
                lambda: client.tag_resource(Resource=arn, Tags={key: text}),
                replace(entry, tags=tuple(sorted({**dict(entry.tags), key: text}.items()))),
            )
        if kind == "publish":
            return name, lambda: client.publish_version(FunctionName=name), published(entry)
        return name, lambda: client.delete_function(FunctionName=name), None

    def _package(self, marker: str) -> bytes:
        package = source(marker)
        self.markers[sha256(package)] = marker
        return package

    def _set(self, name: str, entry: Entry | None) -> None:
        if entry is None:
            self.ledger.pop(name, None)
        else:
            self.ledger[name] = entry

    def reconcile(self, held: Ledger) -> list[str]:
        """Differences between the ledger and what the server holds of this writer's functions, in words.

        The write in doubt may have taken place or not; what is found becomes the ledger.
        """
        wanted = dict(self.ledger)
        if self.in_doubt is not None:
            name, entry = self.in_doubt
            if held.get(name) == entry:
                self._set(name, entry)
                wanted = dict(self.ledger)
        self.in_doubt = None
        return [
            f"{name}: acknowledged {wanted.get(name)}, held {held.get(name)}"
            for name in sorted(wanted.keys() | held.keys())
            if wanted.get(name) != held.get(name)
        ]


def published(entry: Entry) -> Entry:
    """PublishVersion: the next number, or nothing new when nothing has changed since the last one."""
    version = Version(entry.sha256, entry.description)
    if entry.versions and entry.versions[-1][1] == version:
        return entry
    number = str(int(entry.versions[-1][0]) + 1) if entry.versions else "1"
    return replace(entry, versions=(*entry.versions, (number, version)))


def read(client: Any, prefix: str) -> Ledger:
    """What the server holds of the functions whose name begins so."""
    held = {}
    for page in client.get_paginator("list_functions").paginate():
        for function in page["Functions"]:
            name = function["FunctionName"]
            if name.startswith(prefix):
                held[name] = _entry(client, name)
    return held


def _entry(client: Any, name: str) -> Entry:
    function = client.get_function(FunctionName=name)
    versions = [
        (each["Version"], Version(each["CodeSha256"], each["Description"]))
        for page in client.get_paginator("list_versions_by_function").paginate(FunctionName=name)
        for each in page["Versions"]
        if each["Version"] != "$LATEST"
    ]
    return Entry(
        sha256=function["Configuration"]["CodeSha256"],
        description=function["Configuration"]["Description"],
        tags=tuple(sorted(function.get("Tags", {}).items())),
        versions=tuple(sorted(versions, key=lambda each: int(each[0]))),
    )
