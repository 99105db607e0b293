"""What S3 knows, as plain records: buckets, versions of objects, uploads, parts, and what a change tells others."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

ENABLED: Final = "Enabled"
SUSPENDED: Final = "Suspended"
NULL: Final = "null"
"""The id of a version that was written without versioning."""
STANDARD: Final = "STANDARD"
ARCHIVED: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Classes that have to be restored before they are read."""
ENFORCED: Final = "BucketOwnerEnforced"
DEFAULT_TYPE: Final = "binary/octet-stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    id: int
    name: str
    account: str
    region: str
    constraint: str
    """As GetBucketLocation tells it: empty in us-east-1, `EU` where it was asked for by that name."""
    created_ms: int
    versioning: str = ""
    """`Enabled`, `Suspended`, or empty: never had any."""
    ownership: str = ENFORCED
    locked: bool = False
    """Whether object lock was enabled."""

    @property
    def arn(self) -> str:
        return f"arn:aws:s3:::{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What was said with an object when it was written; never changes."""

    headers: Mapping[str, str] = field(default_factory=dict)
    """By the member names of the model: `ContentType`, `CacheControl`, ..."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    checksums: Mapping[str, str] = field(default_factory=dict)
    """Base64 by algorithm as AWS writes it: `CRC32`, `CRC64NVME`, `SHA256`; composite ones with `-N`."""
    checksum_type: str = ""
    """`FULL_OBJECT` or `COMPOSITE`."""
    encryption: Mapping[str, str] = field(default_factory=dict)
    """`ServerSideEncryption` and `SSEKMSKeyId` where they are not the default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What may change while the object stays."""

    tags: Mapping[str, str] = field(default_factory=dict)
    lock_mode: str = ""
    lock_until_ms: int = 0
    hold: bool = False
    restored_until_ms: int = 0
    acl: str = ""
    """JSON text that the module of ACLs owns; empty: private."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectVersion:
    bucket_id: int
    key: str
    version_id: str
    sequence: int
    """Grows with each change of the store, so also with each of one key; over restarts too."""
    latest: bool
    marker: bool
    """A delete marker: no bytes, no metadata."""
    modified_ms: int
    noncurrent_ms: int | None = None
    size: int = 0
    etag: str = ""
    """Without quotes."""
    storage_class: str = STANDARD
    file: str | None = None
    upload: str | None = None
    """Whose parts are its bytes, where it has no file of its own."""
    parts: int = 0
    """0: it was written at once."""
    details: Details = Details()
    state: State = State()


@dataclass(frozen=True, slots=True, kw_only=True)
class MultipartUpload:
    id: str
    bucket_id: int
    key: str
    sequence: int
    initiated_ms: int
    details: Details
    state: State
    storage_class: str = STANDARD
    algorithm: str = ""
    """Of checksums, as declared; empty: none was."""
    initiator: str = ""
    completed: str | None = None
    """Result of its completion, so that a repeated one gets the same answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    number: int
    file: str | None
    size: int
    etag: str
    modified_ms: int
    checksums: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Who asked for a change, as notifications tell it."""

    principal: str
    """ARN of the caller, or `s3.amazonaws.com` for lifecycle."""
    request_id: str = ""
    source_ip: str = "127.0.0.1"
    trace_header: str | None = None
    """Of the request, which its notifications carry on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectChange:
    """One change of one object, told to the outbox in its transaction.

    `event` is the AWS name without `s3:`: `ObjectCreated:Put`, `ObjectRemoved:Delete`,
    `ObjectRemoved:DeleteMarkerCreated`, `ObjectTagging:Put`, `LifecycleExpiration:Delete`, ...
    """

    event: str
    key: str
    sequence: int
    at_ms: int
    origin: Origin
    size: int | None = None
    etag: str | None = None
    """Without quotes; None where AWS sends none."""
    version_id: str | None = None
    """None for versions without an id of their own."""
    storage_class: str = ""
    """Of a transition: the new one; of a restored object: the one that it stays in."""
    until_ms: int = 0
    """Of a retention and of a restored object: when it ends."""
    mode: str = ""
    """Of a retention; empty: it was taken away."""

    @property
    def sequencer(self) -> str:
        """18 hexadecimal digits that grow with each change of a key."""
        return f"{self.sequence:018X}"
