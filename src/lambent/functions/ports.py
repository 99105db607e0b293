"""What the control plane needs of others; `app` wires them."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from lambent.aws.service import CallContext
from lambent.functions.archive import Content
from lambent.functions.records import FunctionVersion

Tags = Mapping[str, str]


class Refusal(Protocol):
    """Why a function cannot run on this machine."""

    @property
    def reason(self) -> str:
        """One sentence for the user that names the mending command."""
        ...

    @property
    def code(self) -> str:
        """A value of the model's StateReasonCode, for example InvalidRuntime."""
        ...


class RuntimeSupport(Protocol):
    """Implemented by the catalogue of runtimes."""

    def refusal(self, runtime: str, architecture: str, code_dir: Path) -> Refusal | None:
        """None when such a function can run here. Called on a worker thread; it may read the package."""
        ...


RuntimeVersionArn = Callable[[str, str], str | None]
"""From (runtime identifier, region) to the ARN of the build that serves it here; None when there is none."""


def no_runtime_version(_runtime: str, _region: str) -> None:
    """For machines without versioned runtimes."""


class Progress(Struct, frozen=True):
    """Of the provisioned environments of one deployment."""

    available: int = 0
    """Initialised, whether they are in use or not."""
    failure: str | None = None
    """Why there are no more."""


class Provisioner(Protocol):
    """Who makes provisioned environments. Told on the event loop, after the commit."""

    def progress(self, deployment_id: str) -> Progress: ...

    def changed(self) -> None:
        """What is wanted may have changed."""
        ...


class NoProvisioner:
    """For control planes without a machine."""

    def progress(self, deployment_id: str) -> Progress:
        return Progress()

    def changed(self) -> None:
        """Nobody to tell."""


class Taken(StrEnum):
    """Whether there is a snapshot."""

    YES = "yes"
    IMPOSSIBLE = "impossible"
    """The function is fine, and its environments are initialised one by one."""
    FAILED = "failed"
    """Its Init, or a hook before the snapshot, did."""


class SnapshotOutcome(Struct, frozen=True):
    taken: Taken
    reason: str | None = None
    """For the user: why there is none, or how it is restored where that is not the usual way."""
    code: str | None = None
    """Of a failure: a StateReasonCode."""


class SnapshotTaker(Protocol):
    """Who initialises a published version once and keeps the result."""

    async def take(self, version: FunctionVersion) -> SnapshotOutcome:
        """Takes as long as the Init of the version."""
        ...

    def status(self, deployment_id: str) -> SnapshotOutcome | None:
        """None when nobody has tried yet."""
        ...


class NoSnapshots:
    """For control planes without a machine."""

    async def take(self, version: FunctionVersion) -> SnapshotOutcome:
        return SnapshotOutcome(Taken.IMPOSSIBLE, "there is no machine to take one on")

    def status(self, deployment_id: str) -> SnapshotOutcome | None:
        return None


class Roles(Protocol):
    """Execution roles, as far as they are known here."""

    def refuses_lambda(self, role_arn: str, function_arn: str) -> bool:
        """True for a role that exists and whose trust policy does not let Lambda assume it for this function."""
        ...


class AnyRole:
    """For a server without IAM: users of local tools name roles that are nowhere."""

    def refuses_lambda(self, role_arn: str, function_arn: str) -> bool:
        return False


class VersionObserver(Protocol):
    """Told on the event loop, after the commit, so it must be quick."""

    def deployed(self, runtime: str) -> None:
        """A function of this runtime identifier was created or changed, and will perhaps be invoked."""
        ...

    def retire(self, deployment_id: str) -> None:
        """No new invocation will name this deployment; its environments end once they are idle."""
        ...


class S3Object(Struct, frozen=True):
    """`version` None: the newest."""

    bucket: str
    key: str
    version: str | None = None


class CodeSource(Protocol):
    """Archives of code that are in S3; for functions and for layers."""

    async def fetch(self, found: S3Object, *, account: str, region: str, principal: str) -> Content:
        """The whole object, read on behalf of `principal`. Its size is bounded, its contents are not checked.

        `ApiError` in the words of AWS when it cannot be had, or is larger than any archive that could be unpacked.
        """
        ...


class Taggable(Protocol):
    """Resources of one kind in an ARN (`event-source-mapping`, `code-signing-config`) that carry tags."""

    def tags(self, context: CallContext, arn: str) -> Tags:
        """Raises `ApiError` when there is no such resource."""
        ...

    async def change_tags(self, context: CallContext, arn: str, decide: Callable[[Tags], Tags]) -> None:
        """Put what `decide` makes of the present tags, durably. `decide` may raise `ApiError`, and may run twice."""
        ...
