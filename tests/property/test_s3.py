"""The engine of S3 against a dictionary: puts, deletes, versions, and lists with prefixes, delimiters and pages."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lambent.aws.service import CallContext, Identity
from lambent.aws.streams import FileRange, Upload
from lambent.core.clock import SystemClock
from lambent.services.s3.service import S3Service
from lambent.store.database import Database
from lambent.testing.scripted_caller import ScriptedCaller

KEYS = st.text(alphabet="ab/\u00e9", min_size=1, max_size=4)
STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "put", "delete", "remove", "Enabled", "Suspended"]), KEYS), max_size=25
)
LISTS = st.tuples(
    st.text(alphabet="ab/", max_size=2), st.sampled_from(["", "/", "b", "a/"]), st.integers(1, 4), st.booleans()
)
CONTEXT = CallContext("0" * 12, "us-east-1", "id", Identity("0" * 12, "arn:aws:iam::000000000000:root", "test"), "")


class Model:
    """By key, the versions with the latest first: id, and content or None for a marker."""

    def __init__(self) -> None:
        self.versioning = ""
        self.keys: dict[str, list[tuple[str, bytes | None]]] = {}

    def add(self, key: str, version: str, content: bytes | None) -> None:
        kept = [each for each in self.keys.get(key, []) if version != "null" or each[0] != "null"]
        self.keys[key] = [(version, content), *kept]

    def remove(self, key: str, version: str) -> None:
        self.keys[key] = [each for each in self.keys[key] if each[0] != version]

    def current(self) -> dict[str, bytes]:
        latest = {key: versions[0][1] for key, versions in self.keys.items() if versions}
        return {key: content for key, content in latest.items() if content is not None}

    def listed(self, prefix: str, delimiter: str) -> list[str]:
        """Keys and common prefixes in their one order."""
        names = set()
        for key in self.current():
            if key.startswith(prefix):
                at = key.find(delimiter, len(prefix)) if delimiter else -1
                names.add(key if at < 0 else key[: at + len(delimiter)])
        return sorted(names, key=str.encode)


async def check(steps: list[tuple[str, str]], lists: list[tuple[str, str, int, bool]], root: Path) -> None:
    database = Database.open(root / "lambent.db")
    service = S3Service(database, root / "s3", SystemClock(), ScriptedCaller())

    async def call(operation: str, **parameters: Any) -> Any:
        return await service.operations()[operation](CONTEXT, {"Bucket": "bkt", **parameters})

    try:
        model = Model()
        await call("CreateBucket")
        for number, (step, key) in enumerate(steps):
            if step == "put":
                content = str(number).encode()
                put = await call("PutObject", Key=key, Body=Upload.of(content))
                model.add(key, put.get("VersionId", "null"), content)
            elif step == "delete":
                done = await call("DeleteObject", Key=key)
                if model.versioning:
                    model.add(key, done["VersionId"], None)
                else:
                    model.keys.pop(key, None)
            elif step == "remove":
                if model.keys.get(key):
                    version = model.keys[key][number % len(model.keys[key])][0]
                    await call("DeleteObject", Key=key, VersionId=version)
                    model.remove(key, version)
            else:
                model.versioning = step
                await service.buckets.change(service.buckets.get("bkt"), versioning=step)
        await compare(call, model, lists)
    finally:
        await service.close()
        await database.close()


async def compare(call: Any, model: Model, lists: list[tuple[str, str, int, bool]]) -> None:
    for key, content in model.current().items():
        body = (await call("GetObject", Key=key))["Body"]
        assert isinstance(body, FileRange)
        assert body.file is not None
        with body.file as file:
            assert file.read() == content
    for prefix, delimiter, limit, second in lists:
        assert await listed(call, prefix, delimiter, limit, second=second) == model.listed(prefix, delimiter)
    every = [(key, version) for key in sorted(model.keys, key=str.encode) for version, _ in model.keys[key]]
    # Versions and markers of a page come in two lists, so their order shows in pages of one.
    assert await versions(call, 1) == every
    assert sorted(await versions(call, lists[0][2])) == sorted(every)


async def listed(call: Any, prefix: str, delimiter: str, limit: int, *, second: bool) -> list[str]:
    names: list[str] = []
    parameters: dict[str, Any] = {"Prefix": prefix, "Delimiter": delimiter, "MaxKeys": limit}
    while True:
        page = await call("ListObjectsV2" if second else "ListObjects", **parameters)
        found = [entry["Key"] for entry in page.get("Contents", [])]
        found += [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]
        names += sorted(found, key=str.encode)
        if not page["IsTruncated"]:
            return names
        assert len(found) == limit
        if second:
            parameters["ContinuationToken"] = page["NextContinuationToken"]
        else:
            parameters["Marker"] = page.get("NextMarker") or names[-1]


async def versions(call: Any, limit: int) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    parameters: dict[str, Any] = {"MaxKeys": limit}
    while True:
        page = await call("ListObjectVersions", **parameters)
        entries = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        found += [(entry["Key"], entry["VersionId"]) for entry in entries]
        if not page["IsTruncated"]:
            return found
        parameters |= {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}


@settings(max_examples=25, deadline=None)
@given(steps=STEPS, lists=st.lists(LISTS, min_size=1, max_size=4))
def test_objects_are_as_in_a_dictionary(steps: list[tuple[str, str]], lists: list[tuple[str, str, int, bool]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(check(steps, lists, Path(folder)))
