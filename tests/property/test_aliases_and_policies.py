"""Aliases, versions and policies in any order: what belongs together stays together, in memory and on disk."""

import asyncio
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from lambent.aws.errors import ApiError
from lambent.aws.policy.documents import parse
from lambent.core.clock import SystemClock
from lambent.functions import store
from lambent.functions.control_plane import ControlPlane
from lambent.functions.records import Alias, Function, FunctionKey, Policy
from lambent.store.database import Database
from lambent.store.datadir import DataDir
from lambent.testing.runtime_support import FakeRuntimeSupport
from tests.unit.functions.conftest import Api

KEY = FunctionKey("000000000000", "us-east-1", "f")
names = st.sampled_from(["a", "b"])
numbers = st.sampled_from(["$LATEST", "1", "2", "3"])
published = st.sampled_from(["1", "2", "3"])
qualifiers = st.sampled_from([None, "1", "2", "a", "b"])
sids = st.sampled_from(["x", "y"])
REFUSALS = {
    *("ResourceNotFoundException", "ResourceConflictException", "InvalidParameterValueException"),
    "PreconditionFailedException",
}


class Owners(RuleBasedStateMachine):
    """Any operation is done or refused with an error of the caller, never half."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.place = tempfile.TemporaryDirectory()
        self.timeout = 3
        self.last_revision = "00000000-0000-4000-8000-000000000000"
        self._open()
        self.loop.run_until_complete(self.api.created())

    def _open(self) -> None:
        self.data_dir = DataDir.open(Path(self.place.name))
        self.database = Database.open(self.data_dir.database)
        self.api = Api(self.loop.run_until_complete(self._plane()))

    async def _plane(self) -> ControlPlane:
        plane = ControlPlane(
            data_dir=self.data_dir,
            database=self.database,
            clock=SystemClock(),
            runtime_support=FakeRuntimeSupport(),
        )
        plane.start()
        return plane

    def _close(self) -> None:
        self.loop.run_until_complete(self.api.plane.close())
        self.loop.run_until_complete(self.database.close())
        self.data_dir.close()

    def teardown(self) -> None:
        self._close()
        self.loop.close()
        self.place.cleanup()

    @property
    def function(self) -> Function:
        found = self.api.plane.read_model.get(KEY)
        assert found is not None
        return found

    def call(self, operation: str, **parameters: Any) -> Mapping[str, Any] | None:
        """None when it is refused; then nothing has changed."""
        before = self.function
        asked = {name: value for name, value in parameters.items() if value is not None}
        try:
            reply = self.loop.run_until_complete(self.api(operation, FunctionName="f", **asked))
        except ApiError as error:
            code = error.code
        else:
            self.last_revision = str(reply.get("RevisionId", self.last_revision))
            return reply
        assert code in REFUSALS
        assert self.function == before
        return None

    @rule()
    def publish(self) -> None:
        self.timeout += 1
        self.call("UpdateFunctionConfiguration", Timeout=self.timeout)
        self.loop.run_until_complete(self.api.settled())
        self.call("PublishVersion")

    @rule(number=published)
    def delete_version(self, number: str) -> None:
        named = any(number in (a.version, *a.weights) for a in self.function.all_attached(Alias).values())
        assert (self.call("DeleteFunction", Qualifier=number) is None) == named

    @rule(name=names, number=numbers, other=st.none() | published, weight=st.floats(0, 1))
    def create_alias(self, name: str, number: str, other: str | None, weight: float) -> None:
        routing = None if other is None else {"AdditionalVersionWeights": {other: weight}}
        self.call("CreateAlias", Name=name, FunctionVersion=number, RoutingConfig=routing)

    @rule(name=names, number=st.none() | numbers, other=st.none() | published, stale=st.booleans())
    def update_alias(self, name: str, number: str | None, other: str | None, stale: bool) -> None:
        routing = None if other is None else {"AdditionalVersionWeights": {other: 0.5}}
        revision = self.last_revision if stale else None
        self.call("UpdateAlias", Name=name, FunctionVersion=number, RoutingConfig=routing, RevisionId=revision)

    @rule(name=names)
    def delete_alias(self, name: str) -> None:
        self.call("DeleteAlias", Name=name)

    @rule(qualifier=qualifiers, sid=sids, stale=st.booleans())
    def add_permission(self, qualifier: str | None, sid: str, stale: bool) -> None:
        self.call(
            "AddPermission",
            Qualifier=qualifier,
            StatementId=sid,
            Action="lambda:InvokeFunction",
            Principal="*",
            RevisionId=self.last_revision if stale else None,
        )

    @rule(qualifier=qualifiers, sid=sids)
    def remove_permission(self, qualifier: str | None, sid: str) -> None:
        self.call("RemovePermission", Qualifier=qualifier, StatementId=sid)

    @rule()
    def restart(self) -> None:
        before = self.function
        self._close()
        self._open()
        assert self.function == before

    @rule()
    def again(self) -> None:
        """A new function of the name."""
        self.loop.run_until_complete(self.api("DeleteFunction", FunctionName="f"))
        self.loop.run_until_complete(self.api.created())
        assert not self.function.attachments

    @invariant()
    def an_alias_names_versions_that_are_there(self) -> None:
        for name, alias in self.function.all_attached(Alias).items():
            assert all(self.function.version(number) for number in (alias.version, *alias.weights))
            assert not alias.weights or (len(alias.weights) == 1 and alias.version != "$LATEST")
            resolved = self.api.plane.resolver.resolve(*KEY, name)
            assert resolved.function.version in (alias.version, *alias.weights)

    @invariant()
    def a_policy_has_an_owner_whose_revision_it_shows(self) -> None:
        for qualifier, policy in self.function.all_attached(Policy).items():
            assert parse(policy.document).statements
            reply = self.call("GetPolicy", Qualifier=qualifier or None)
            assert reply is not None
            alias = self.function.attached(Alias, qualifier)
            owner = alias or self.function.version(qualifier or None)
            assert owner is not None
            assert reply["RevisionId"] == owner.revision_id
            resources = {each["Resource"] for each in json.loads(reply["Policy"])["Statement"]}
            assert resources == {f"{KEY.arn}:{qualifier}" if qualifier else KEY.arn}

    @invariant()
    def memory_and_disk_agree(self) -> None:
        (stored,) = self.database.read_now(store.load_all)
        assert stored == self.function


TestOwners = Owners.TestCase
TestOwners.settings = settings(max_examples=8, stateful_step_count=30, deadline=None)
