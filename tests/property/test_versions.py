"""Updates and publications in any order agree with a simple model of them."""

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lambent.aws.errors import ApiError
from lambent.core.clock import SystemClock
from lambent.functions.control_plane import ControlPlane
from lambent.store.database import Database
from lambent.store.datadir import DataDir
from lambent.testing.runtime_support import FakeRuntimeSupport
from tests.unit.functions.conftest import Api, package

CODES = {text: package(text) for text in "ab"}
timeouts = st.sampled_from([3, 4])
codes = st.sampled_from(sorted(CODES))
Content = tuple[str, int]


class Versions(RuleBasedStateMachine):
    """`described` and `served` are what `$LATEST` must show and run; `published` what each number must keep."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.place = tempfile.TemporaryDirectory()
        self.support = FakeRuntimeSupport()
        self.described: Content | None = None
        self.served: Content | None = None
        self.updating = False
        self.published: dict[int, Content] = {}
        self.last_number = 0
        self.revisions: set[str] = set()
        self._open()

    def _open(self) -> None:
        self.data_dir = DataDir.open(Path(self.place.name))
        self.database = Database.open(self.data_dir.database)
        self.api = Api(self.loop.run_until_complete(self._plane()))

    async def _plane(self) -> ControlPlane:
        plane = ControlPlane(
            data_dir=self.data_dir, database=self.database, clock=SystemClock(), runtime_support=self.support
        )
        plane.start()
        return plane

    def _close(self) -> None:
        self.support.release()
        self.loop.run_until_complete(self.api.plane.close())
        self.loop.run_until_complete(self.database.close())
        self.data_dir.close()

    def teardown(self) -> None:
        self._close()
        self.loop.close()
        self.place.cleanup()

    def call(self, operation: str, **parameters: Any) -> Mapping[str, Any]:
        return self.loop.run_until_complete(self.api(operation, FunctionName="f", **parameters))

    def settle(self) -> None:
        self.support.release()
        self.loop.run_until_complete(self.api.settled())
        self.served = self.described
        self.updating = False

    def update(self, operation: str, content: Content, **parameters: Any) -> None:
        if self.updating:
            with pytest.raises(ApiError, match="An update is in progress"):
                self.call(operation, **parameters)
            return
        self.support.hold()
        self.call(operation, **parameters)
        self.described = content
        self.updating = True

    @precondition(lambda self: self.described is None)
    @rule(code=codes, timeout=timeouts)
    def create(self, code: str, timeout: int) -> None:
        reply = self.loop.run_until_complete(self.api.created(Code={"ZipFile": CODES[code]}, Timeout=timeout))
        assert reply["State"] == "Active"
        self.described = self.served = (code, timeout)

    @precondition(lambda self: self.described is not None)
    @rule(code=codes)
    def update_code(self, code: str) -> None:
        assert self.described is not None
        self.update("UpdateFunctionCode", (code, self.described[1]), ZipFile=CODES[code])

    @precondition(lambda self: self.described is not None)
    @rule(timeout=timeouts)
    def update_configuration(self, timeout: int) -> None:
        assert self.described is not None
        self.update("UpdateFunctionConfiguration", (self.described[0], timeout), Timeout=timeout)

    @precondition(lambda self: self.updating)
    @rule()
    def the_update_ends(self) -> None:
        self.settle()

    @precondition(lambda self: self.described is not None and not self.updating)
    @rule()
    def publish(self) -> None:
        assert self.described is not None
        number = int(self.call("PublishVersion")["Version"])
        if self.published and self.published[max(self.published)] == self.described:
            assert number == max(self.published)
        else:
            self.last_number += 1
            assert number == self.last_number
            self.published[number] = self.described

    @precondition(lambda self: self.published)
    @rule(data=st.data())
    def delete_version(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.published)))
        self.call("DeleteFunction", Qualifier=str(number))
        del self.published[number]

    @precondition(lambda self: self.described is not None and not self.updating)
    @rule()
    def delete(self) -> None:
        self.call("DeleteFunction")
        self.described = self.served = None
        self.published = {}

    @rule()
    def restart(self) -> None:
        """An update under way is taken up again, and has ended afterwards."""
        self._close()
        self._open()
        if self.described is not None:
            self.settle()

    @invariant()
    def latest_is_as_described_and_served(self) -> None:
        if self.described is None:
            return
        shown = self.call("GetFunctionConfiguration")
        assert shown["Timeout"] == self.described[1]
        assert shown["LastUpdateStatus"] == ("InProgress" if self.updating else "Successful")
        assert self.running(None) == self.served

    @invariant()
    def published_versions_never_change(self) -> None:
        if self.described is None:
            return
        listed = [v["Version"] for v in self.call("ListVersionsByFunction")["Versions"]]
        assert listed == ["$LATEST", *map(str, sorted(self.published))]
        for number, content in self.published.items():
            assert self.running(str(number)) == content

    def running(self, qualifier: str | None) -> Content:
        version = self.api.plane.resolver.resolve("000000000000", "us-east-1", "f", qualifier).function
        source = (self.api.plane.packages.path(version.code.sha256) / "app.py").read_text()
        return next(code for code in CODES if f"return {code!r}" in source), version.timeout_s


TestVersions = Versions.TestCase
TestVersions.settings = settings(max_examples=8, stateful_step_count=25, deadline=None)
