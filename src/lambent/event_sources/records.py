"""What is kept of an event source mapping, frozen. AWS-shaped dicts live only in `event_sources.api`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from lambent.aws.arn import partition_of
from lambent.core.lifecycle import step


class State(StrEnum):
    CREATING = "Creating"
    ENABLING = "Enabling"
    ENABLED = "Enabled"
    UPDATING = "Updating"
    DISABLING = "Disabling"
    DISABLED = "Disabled"
    DELETING = "Deleting"


NEXT: Mapping[State, frozenset[State]] = {
    State.CREATING: frozenset({State.ENABLED, State.DISABLED}),
    State.ENABLING: frozenset({State.ENABLED, State.DISABLED}),
    State.ENABLED: frozenset({State.UPDATING, State.DISABLING, State.DELETING}),
    State.UPDATING: frozenset({State.ENABLED, State.DISABLED}),
    State.DISABLING: frozenset({State.DISABLED}),
    State.DISABLED: frozenset({State.UPDATING, State.ENABLING, State.DISABLING, State.DELETING}),
    # After this there is no mapping.
    State.DELETING: frozenset(),
}
AT_REST = frozenset({State.ENABLED, State.DISABLED})
"""All others end by themselves, and refuse changes until then."""


def moved(current: State, target: State) -> State:
    return step(NEXT, current, target)


class MappingKey(NamedTuple):
    account: str
    region: str
    uuid: str

    @property
    def arn(self) -> str:
        return f"arn:{partition_of(self.region)}:lambda:{self.region}:{self.account}:event-source-mapping:{self.uuid}"


@dataclass(frozen=True, slots=True)
class Access:
    """How the poller reaches a broker: a secret, a network or a name, by type."""

    type: str
    uri: str


@dataclass(frozen=True, slots=True)
class Pollers:
    """Provisioned mode."""

    minimum: int
    maximum: int
    group: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaRegistry:
    uri: str | None = None
    record_format: str | None = None
    access: tuple[Access, ...] = ()
    validated: tuple[str, ...] = ()
    """KEY, VALUE or both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kafka:
    consumer_group: str
    schema_registry: SchemaRegistry | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentDb:
    database: str
    collection: str | None = None
    full_document: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an update can change. None: the source has no such setting, or it is not set."""

    batch_size: int
    window_s: int | None = None
    """None: half a second, which the API cannot say."""
    filters: tuple[str, ...] = ()
    kms_key_arn: str | None = None
    parallelization_factor: int | None = None
    maximum_record_age_s: int | None = None
    """-1: as long as the source keeps it."""
    maximum_retry_attempts: int | None = None
    """-1: for ever."""
    bisect_on_error: bool | None = None
    tumbling_window_s: int | None = None
    on_failure: str | None = None
    response_types: tuple[str, ...] = ()
    maximum_concurrency: int | None = None
    pollers: Pollers | None = None
    metrics: tuple[str, ...] = ()
    log_level: str | None = None
    access: tuple[Access, ...] = ()
    kafka: Kafka | None = None
    documentdb: DocumentDb | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSourceMapping:
    account: str
    region: str
    uuid: str
    source: str
    """The row of `sources.SOURCES`."""
    source_arn: str | None
    """None for a Kafka cluster that is named by its servers."""
    function_arn: str
    """As the caller meant it: with the version or alias, if one was named."""
    function_name: str
    enabled: bool
    """What the user wants; `state` is what is."""
    state: State
    state_reason: str
    last_modified: datetime
    settings: Settings
    last_result: str | None = None
    starting_position: str | None = None
    starting_timestamp: datetime | None = None
    topics: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> MappingKey:
        return MappingKey(self.account, self.region, self.uuid)
