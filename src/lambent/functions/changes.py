"""One committed change of one function, and the way every change takes: transaction, read model, observers.

Owns the order: nobody sees a change before it is on disk, and the read model takes changes in the order of commits,
even when the client that asked has hung up.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from lambent.functions.ports import VersionObserver
from lambent.functions.read_model import ReadModel, version_packages
from lambent.functions.records import LATEST, Attachment, AttachmentKey, Function, FunctionKey, FunctionVersion
from lambent.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a transaction did to a function."""

    key: FunctionKey
    latest: FunctionVersion | None = None
    """`$LATEST` as it is now described; None when that did not change. `serving` belongs to it."""
    serving: FunctionVersion | None = None
    published: tuple[FunctionVersion, ...] = ()
    """New or changed published versions."""
    unpublished: frozenset[str] = frozenset()
    """Numbers of deleted versions."""
    tags: Mapping[str, str] | None = None
    attached: Mapping[AttachmentKey, Attachment | None] = field(default_factory=dict)
    """New or changed attachments; None: gone."""
    deleted: bool = False
    reply: FunctionVersion | None = field(default=None, compare=False)
    """The version that the caller asked about."""

    def apply(self, before: Function | None) -> Function | None:
        if self.deleted:
            return None
        if before is None:
            if self.latest is None:
                return None
            before = Function(latest=self.latest)
        function = before
        if self.latest is not None:
            function = replace(function, latest=self.latest, serving=self.serving)
        if self.published or self.unpublished:
            kept = {number: old for number, old in before.published.items() if number not in self.unpublished}
            function = replace(function, published=kept | {new.version: new for new in self.published})
        if self.tags is not None:
            function = replace(function, tags=self.tags)
        if self.attached:
            together = {**function.attachments, **self.attached}
            attachments = {key: item for key, item in together.items() if item is not None}
            function = replace(function, attachments=attachments)
        return function


class Changes:
    """`commit` is the only way in which functions change while the server runs."""

    def __init__(self, database: Database, read_model: ReadModel, observers: Sequence[VersionObserver]) -> None:
        self._database = database
        self._read_model = read_model
        self._observers = observers
        self.on_unsettled: Callable[[FunctionVersion], None] = lambda _version: None
        self.on_unused_code: Callable[[], None] = lambda: None
        self.on_applied: Callable[[], None] = lambda: None

    async def commit(self, decide: Callable[[Connection], Change]) -> Change:
        """Run `decide` in a transaction; return its change once it is durable and visible.

        `decide` reads the rows, raises `ApiError` to refuse, writes the rows, and may run twice.
        """
        return await self._database.write(decide, applied=self._applied)

    def _applied(self, change: Change) -> None:
        before = self._read_model.get(change.key)
        after = change.apply(before)
        if after is not None:
            self._read_model.put(after)
        elif before is not None:
            self._read_model.remove(change.key)
        self._retire(_deployments(before) - _deployments(after))
        if after is not None and change.latest is not None:
            for observer in self._observers:
                observer.deployed(after.latest.runtime)
        for version in (change.latest, *change.published):
            if version is not None and not version.settled and not change.deleted:
                self.on_unsettled(version)
        if _packages(before) - _packages(after):
            self.on_unused_code()
        self.on_applied()

    async def forget_everything(self, wipe: Callable[[Connection], None]) -> None:
        """Drop all functions of all accounts."""
        await self._database.write(wipe, applied=lambda _none: self._forgotten())

    def _forgotten(self) -> None:
        gone = {deployment for function in self._read_model for deployment in _deployments(function)}
        self._read_model.load(())
        self._retire(gone)
        self.on_unused_code()
        self.on_applied()

    def _retire(self, deployments: set[str]) -> None:
        for deployment in deployments:
            for observer in self._observers:
                observer.retire(deployment)


def _versions(function: Function | None) -> list[FunctionVersion]:
    if function is None:
        return []
    serving = [] if function.serving is None else [function.serving]
    return [function.latest, *serving, *function.published.values()]


def _deployments(function: Function | None) -> set[str]:
    return {version.deployment_id for version in _versions(function)}


def _packages(function: Function | None) -> set[str]:
    return {digest for version in _versions(function) for digest in version_packages(version)}


def is_latest(version: FunctionVersion) -> bool:
    return version.version == LATEST
