"""The control plane put together: what `app` starts, asks and stops."""

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

from sqlalchemy import Connection

from lambent.aws.errors import not_found
from lambent.aws.service import Handler, Operations
from lambent.core import tasks
from lambent.core.clock import Clock
from lambent.functions import store
from lambent.functions.admission import admitted
from lambent.functions.api import (
    account,
    aliases,
    code_signing,
    code_signing_configs,
    concurrency,
    create,
    delete,
    event_invoke,
    permissions,
    provisioned_concurrency,
    read,
    recursion,
    runtime_management,
    tags,
    update,
    url_configs,
    versions,
)
from lambent.functions.api.code_signing_configs import SigningConfigTags
from lambent.functions.api.function_tags import FunctionTags
from lambent.functions.api.parts import Parts
from lambent.functions.authorize import Authorizer
from lambent.functions.changes import Changes
from lambent.functions.code_source import NoS3Code
from lambent.functions.code_urls import CodeUrls
from lambent.functions.deprecation import Deprecations
from lambent.functions.layers import api as layers
from lambent.functions.layers import policy_api as layer_policies
from lambent.functions.layers import store as layer_store
from lambent.functions.layers.catalog import Layers
from lambent.functions.networks import Networks, NoNetworks
from lambent.functions.packages import Packages
from lambent.functions.ports import (
    AnyRole,
    CodeSource,
    NoProvisioner,
    NoSnapshots,
    Provisioner,
    Roles,
    RuntimeSupport,
    RuntimeVersionArn,
    SnapshotTaker,
    Taggable,
    VersionObserver,
    no_runtime_version,
)
from lambent.functions.provisioned import Wanted, wanted
from lambent.functions.quotas import Quotas
from lambent.functions.read_model import ReadModel
from lambent.functions.records import FunctionVersion, State
from lambent.functions.resolve import Resolver
from lambent.functions.signing import store as signing_store
from lambent.functions.signing.check import CodeSigningCheck
from lambent.functions.signing.configs import KIND, SigningConfigs
from lambent.functions.signing.profiles import Profiles
from lambent.functions.transitions import Transitions
from lambent.store.blobs import Blobs
from lambent.store.database import Database
from lambent.store.datadir import DataDir
from lambent.store.vault import CARRIED_AS, Vault

RESOURCES = (
    layers,
    layer_policies,
    account,
    aliases,
    code_signing,
    code_signing_configs,
    concurrency,
    create,
    delete,
    event_invoke,
    permissions,
    provisioned_concurrency,
    read,
    recursion,
    runtime_management,
    tags,
    update,
    url_configs,
    versions,
)
"""The modules of the API, each with its table of operations."""


class ControlPlane:
    """Functions of all accounts and regions. `start` before the first call, `close` after the last."""

    def __init__(
        self,
        *,
        data_dir: DataDir,
        database: Database,
        clock: Clock,
        runtime_support: RuntimeSupport,
        runtime_version_arn: RuntimeVersionArn = no_runtime_version,
        observers: Sequence[VersionObserver] = (),
        code_source: CodeSource | None = None,
        roles: Roles | None = None,
        networks: Networks | None = None,
        provisioner: Provisioner | None = None,
        snapshots: SnapshotTaker | None = None,
        quotas: Quotas | None = None,
        signing_profiles: Profiles | None = None,
        random: Callable[[], float] = random.random,
        deprecations: Deprecations | None = None,
    ) -> None:
        quotas = quotas or Quotas()
        provisioner = provisioner or NoProvisioner()
        snapshots = snapshots or NoSnapshots()
        networks = networks or NoNetworks()
        self._database = database
        database.carry(**{CARRIED_AS: Vault(data_dir.secret("variables"))})
        self.read_model = ReadModel()
        self.authorizer = Authorizer(self.read_model)
        self.resolver = Resolver(self.read_model, self.authorizer.admit, random)
        self.packages = Packages(data_dir.packages, Blobs(data_dir.blobs("code")), quotas)
        self._changes = Changes(database, self.read_model, observers)
        self._transitions = Transitions(
            self._changes, self.packages, runtime_support, networks, runtime_version_arn, clock, snapshots
        )
        self._changes.on_applied = provisioner.changed
        self._changes.on_unsettled = self._transitions.settle
        self._unused_code = asyncio.Event()
        self._changes.on_unused_code = self._unused_code.set
        self.packages.on_released = self._released
        self.layers = Layers(database)
        self.layers.on_unused_code = self._unused_code.set
        self._signing_configs = SigningConfigs(database)
        self.taggables: dict[str, Taggable] = {
            "function": FunctionTags(self.read_model, self._changes),
            KIND: SigningConfigTags(self._signing_configs),
        }
        """By kind in an ARN; `app` adds those of others."""
        self._urls = CodeUrls(data_dir.secret("code-url"), clock, quotas.code_url_s)
        self._parts = Parts(
            read_model=self.read_model,
            changes=self._changes,
            packages=self.packages,
            urls=self._urls,
            layers=self.layers,
            code_source=code_source or NoS3Code(),
            signing=CodeSigningCheck(self._signing_configs, signing_profiles or {}),
            taggables=self.taggables,
            provisioner=provisioner,
            snapshots=snapshots,
            runtime_version_arn=runtime_version_arn,
            roles=roles or AnyRole(),
            networks=networks,
            clock=clock,
            quotas=quotas,
            deprecations=deprecations or {},
        )
        self._loops: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Load what is stored, take up transitions that a crash interrupted, and start the loops."""
        self.read_model.load(self._database.read_now(store.load_all))
        self._signing_configs.load()
        self.layers.load(self._database.read_now(layer_store.load_all))
        if self._database.read_now(store.holds_plain_variables):
            tasks.detach("sealing of variables", self._database.write(store.seal_variables))
        for version in self.read_model.versions():
            if not version.settled:
                self._transitions.settle(version)
        self._loops = [
            tasks.keep_running(name, loop)
            for name, loop in (("function transitions", self._transitions.run), ("package collector", self._collect))
        ]

    def wanted_environments(self) -> Mapping[str, Wanted]:
        """What provisioned concurrency asks for now, by deployment."""
        return wanted(self.read_model.provisioned_functions())

    def versions_with_snapshots(self) -> Iterator[FunctionVersion]:
        """Those that are invoked."""
        return (each for each in self.read_model.versions() if each.has_snapshot and each.state is State.ACTIVE)

    def operations(self) -> Operations:
        """The handlers of the `lambda` service that are built here."""
        table: dict[str, Handler] = {}
        for resource in RESOURCES:
            table.update(resource.operations(self._parts))
        return admitted(table, self.authorizer)

    def code_archive(self, path: str, query: Mapping[str, str]) -> Path:
        """The file behind a Code.Location; `path` decoded, as the client asked. `ApiError` 403 or 404."""
        archive = self.packages.archive(self._urls.verify(path, query))
        if not archive.exists():
            raise not_found("The code of this version is gone.")
        return archive

    async def reset(self) -> None:
        """Drop every function and layer of every account, the counters of their versions, and code signing
        configurations."""

        def wipe(connection: Connection) -> None:
            store.remove_everything(connection)
            layer_store.remove_everything(connection)
            signing_store.remove_everything(connection)

        await self._changes.forget_everything(wipe)
        self._signing_configs.forget_everything()
        self.layers.forget_everything()

    async def close(self) -> None:
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        self._transitions.close()
        self.packages.close()

    def _released(self, sha256: str) -> None:
        if sha256 not in self._referenced():
            self._unused_code.set()

    def _referenced(self) -> Iterator[str]:
        return chain(self.read_model.packages(), self.layers.packages())

    async def _collect(self) -> None:
        self._unused_code.set()
        while True:
            await self._unused_code.wait()
            self._unused_code.clear()
            await self.packages.collect(self._referenced)
