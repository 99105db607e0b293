"""What the control plane keeps of a function, frozen. AWS-shaped dicts live only in `functions.api`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple, TypeVar

from lambent.aws.arn import partition_of
from lambent.functions.signing.records import Signed
from lambent.functions.vpc import Vpc

LATEST = "$LATEST"


class State(StrEnum):
    PENDING = "Pending"
    ACTIVE = "Active"
    INACTIVE = "Inactive"
    FAILED = "Failed"


class UpdateStatus(StrEnum):
    IN_PROGRESS = "InProgress"
    SUCCESSFUL = "Successful"
    FAILED = "Failed"


class FunctionKey(NamedTuple):
    account: str
    region: str
    name: str

    @property
    def arn(self) -> str:
        """The ARN without a qualifier."""
        return _arn(self)


@lru_cache(maxsize=4096)
def _arn(key: FunctionKey) -> str:
    return f"arn:{partition_of(key.region)}:lambda:{key.region}:{key.account}:function:{key.name}"


@dataclass(frozen=True, slots=True)
class CodePackage:
    """A zip archive. `sha256` is the hex digest of the archive and names its unpacked folder."""

    sha256: str
    size_bytes: int
    unpacked_bytes: int


NO_PACKAGE = CodePackage("", 0, 0)
"""Of a version whose code is a container image."""

_DIGEST = "@sha256:"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """What replaces the image's own settings. None: not sent."""

    entry_point: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    working_directory: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A container image as the caller named it, and what the function overrides of it."""

    uri: str
    config: ImageConfig | None = None

    @property
    def digest(self) -> str | None:
        """64 hex digits when the URI names one; nobody asks the registry."""
        _, named, digest = self.uri.partition(_DIGEST)
        return digest if named else None


@dataclass(frozen=True, slots=True)
class LayerReference:
    """A layer version as a function version uses it: what it holds stays, also after the layer version is deleted."""

    arn: str
    """With the number of the version."""
    code: CodePackage
    signed: Signed | None = None


@dataclass(frozen=True, slots=True)
class LoggingConfig:
    group: str
    format: str = "Text"
    application_level: str | None = None
    system_level: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionVersion:
    """One version of a function, `$LATEST` included.

    `deployment_id` names what environments run: it is new with each change of code or configuration, so two equal
    ids never behave differently. `revision_id` is AWS's optimistic lock and changes far more often.
    """

    account: str
    region: str
    name: str
    version: str
    runtime: str
    handler: str
    role: str
    code: CodePackage
    """`NO_PACKAGE` where there is an `image`; runtime and handler are empty then."""
    deployment_id: str
    revision_id: str
    last_modified: datetime
    logging: LoggingConfig
    description: str = ""
    timeout_s: int = 3
    memory_mb: int = 128
    ephemeral_storage_mb: int = 512
    architecture: str = "x86_64"
    variables: Mapping[str, str] | None = field(default=None, repr=False)
    """Secrets: sealed in the store, shown to nobody but callers of the API. None when the caller never sent
    Environment; AWS then omits the member."""
    kms_key_arn: str | None = None
    layers: tuple[LayerReference, ...] = ()
    """In the order in which they are laid over /opt: a later one wins."""
    dead_letter_arn: str | None = None
    signing_profile_version_arn: str | None = None
    """Of the code, where a code signing configuration had it verified; the job that signed it too."""
    signing_job_arn: str | None = None
    tracing_mode: str = "PassThrough"
    vpc: Vpc | None = None
    left_network: bool = False
    """Somebody sent a VpcConfig without subnets; replies tell from then on that there is no network."""
    state: State = State.ACTIVE
    state_reason: str | None = None
    state_reason_code: str | None = None
    last_update_status: UpdateStatus | None = UpdateStatus.SUCCESSFUL
    last_update_reason: str | None = None
    last_update_reason_code: str | None = None
    image: Image | None = None
    snap_start: bool = False
    """ApplyOn is PublishedVersions."""
    tenant_isolation: bool = False
    """TenantIsolationMode is PER_TENANT: said at creation, and for good."""
    fork_latest: bool = False
    """Never stored: its environments come from one that was initialised, although it is not published."""
    runtime_version_arn: str | None = None
    """The build of the runtime that was found when the version settled."""
    published_from: str | None = None
    """Of a published version: the fingerprint of the `$LATEST` that it was made from."""

    @property
    def key(self) -> FunctionKey:
        return FunctionKey(self.account, self.region, self.name)

    @property
    def settled(self) -> bool:
        """Whether no transition is under way."""
        return self.state is not State.PENDING and self.last_update_status is not UpdateStatus.IN_PROGRESS

    @property
    def has_snapshot(self) -> bool:
        """Whether its environments are restored from a snapshot, where that can be taken."""
        return self.fork_latest or (self.snap_start and self.version != LATEST)

    @property
    def function_arn(self) -> str:
        """The ARN without a qualifier."""
        return self.key.arn

    @property
    def qualified_arn(self) -> str:
        return f"{self.function_arn}:{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """A name for a version, or for two with a weight. Attached under its own name."""

    name: str
    version: str
    revision_id: str
    description: str = ""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Of additional versions, 0.0 to 1.0 each; the rest of the calls goes to `version`."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The resource policy of the function (qualifier "") or of one version or alias."""

    document: str
    """The whole document as IAM's JSON."""


@dataclass(frozen=True, slots=True)
class ReservedConcurrency:
    """Of the whole function, attached without a qualifier."""

    executions: int


@dataclass(frozen=True, slots=True)
class RecursionConfig:
    """Of the whole function, attached without a qualifier."""

    allowed: bool
    """Its recursive loops are not stopped."""


@dataclass(frozen=True, slots=True)
class CodeSigning:
    """The code signing configuration of the whole function, attached without a qualifier."""

    config_arn: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventInvokeConfig:
    """How events of the function (qualifier `$LATEST`), version or alias are retried, and where results go."""

    last_modified: datetime
    maximum_retry_attempts: int | None = None
    maximum_event_age_s: int | None = None
    on_success: str | None = None
    on_failure: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cors:
    """None: the member was not sent."""

    allow_credentials: bool | None = None
    allow_headers: tuple[str, ...] | None = None
    allow_methods: tuple[str, ...] | None = None
    allow_origins: tuple[str, ...] | None = None
    expose_headers: tuple[str, ...] | None = None
    max_age_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlConfig:
    """The URL of the function (qualifier "") or of one alias."""

    url_id: str
    auth_type: str
    created: datetime
    last_modified: datetime
    invoke_mode: str = "BUFFERED"
    cors: Cors | None = None


@dataclass(frozen=True, slots=True)
class ProvisionedConcurrency:
    """Environments that one version (its number), or the version of one alias, has ready at all times."""

    executions: int
    last_modified: datetime


Attachment = (
    Alias
    | Policy
    | ReservedConcurrency
    | CodeSigning
    | EventInvokeConfig
    | UrlConfig
    | ProvisionedConcurrency
    | RecursionConfig
)
"""What belongs to a name beside its versions and goes with it. One of each kind and qualifier."""

AttachmentKey = tuple[type, str]
"""Kind and qualifier; "" for the function itself."""

A = TypeVar("A", bound=Attachment)


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A name with all that belongs to it."""

    latest: FunctionVersion
    """`$LATEST` as it is described: the newest code and configuration, settled or not."""
    serving: FunctionVersion | None = None
    """What invocations of `$LATEST` get while an update is under way or after it failed; None: `latest` itself."""
    published: Mapping[str, FunctionVersion] = field(default_factory=dict)
    """By number, oldest first."""
    tags: Mapping[str, str] = field(default_factory=dict)
    attachments: Mapping[AttachmentKey, Attachment] = field(default_factory=dict)

    @property
    def invoked(self) -> FunctionVersion:
        """What an invocation without a qualifier runs."""
        return self.serving or self.latest

    def version(self, qualifier: str | None) -> FunctionVersion | None:
        """The version as it is described, by number or by an alias of it; None when there is no such version."""
        if qualifier is not None and (alias := self.attached(Alias, qualifier)) is not None:
            qualifier = alias.version
        return self.latest if qualifier in (None, LATEST) else self.published.get(str(qualifier))

    def attached(self, kind: type[A], qualifier: str = "") -> A | None:
        found = self.attachments.get((kind, qualifier))
        return found if isinstance(found, kind) else None

    def all_attached(self, kind: type[A]) -> dict[str, A]:
        """By qualifier, sorted."""
        found = {qualifier: item for (_, qualifier), item in self.attachments.items() if isinstance(item, kind)}
        return dict(sorted(found.items()))
