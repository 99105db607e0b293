"""The kinds of event sources, one row each: what may be set for it, what is set when nothing is said, how it speaks.

Validation, defaults and replies read these rows; a difference between two sources is data here and no branch there.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from lambent.aws.arn import Arn
from lambent.event_sources.records import Settings


class Kind(StrEnum):
    """What a poller is made for."""

    SQS = "sqs"
    KINESIS = "kinesis"
    DYNAMODB = "dynamodb"
    KAFKA = "kafka"
    MQ = "mq"
    DOCUMENTDB = "documentdb"


@dataclass(frozen=True, slots=True)
class PollerRange:
    """Bounds and defaults of provisioned mode."""

    lowest: int
    highest_minimum: int
    highest: int
    minimum: int
    maximum: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    kind: Kind
    title: str
    """For people, in the plural."""
    arn: tuple[str, re.Pattern[str]] | None
    """Service and resource of its ARN."""
    options: frozenset[str]
    """Members of the API that it knows beyond those that all know."""
    provisioned_only: frozenset[str] = frozenset()
    """Those of `options` that need provisioned mode."""
    defaults: Settings
    max_batch_size: int = 10_000
    positions: frozenset[str] = frozenset()
    default_position: str | None = None
    """None: one must be given, if there are `positions`."""
    required: tuple[str, ...] = ()
    access: frozenset[str] = frozenset()
    """Types of SourceAccessConfigurations."""
    required_access: str | None = None
    metrics: frozenset[str] = frozenset()
    pollers: PollerRange | None = None
    reason: str = "USER_INITIATED"
    """How it spells that the user made the last change."""
    first_result: str | None = None
    refused: str
    """Text for an option that it does not know, with {name} and {camel}."""
    duplicate: str
    """Text for a second mapping, with {source}, {name}, {function}, {topic}, {queue}; AWS adds the UUID."""


KNOWN_TO_ALL: Final = frozenset({"FunctionName", "Enabled", "BatchSize", "FilterCriteria", "KMSKeyArn", "Tags", "UUID"})
WINDOW: Final = "MaximumBatchingWindowInSeconds"
_STREAM_OPTIONS: Final = frozenset(
    {
        *("EventSourceArn", "StartingPosition", "StartingPositionTimestamp", WINDOW, "FunctionResponseTypes"),
        *("ParallelizationFactor", "MaximumRetryAttempts", "MaximumRecordAgeInSeconds", "BisectBatchOnFunctionError"),
        *("TumblingWindowInSeconds", "DestinationConfig", "MetricsConfig"),
    }
)
_SQS_OPTIONS: Final = frozenset(
    {"EventSourceArn", WINDOW, "FunctionResponseTypes", "ScalingConfig", "ProvisionedPollerConfig", "MetricsConfig"}
)
_KAFKA_NEEDS_PROVISIONED: Final = frozenset(
    {
        *("MaximumRetryAttempts", "MaximumRecordAgeInSeconds", "BisectBatchOnFunctionError", "FunctionResponseTypes"),
    }
)
_KAFKA_OPTIONS: Final = _KAFKA_NEEDS_PROVISIONED | {
    *("Topics", "SourceAccessConfigurations", "StartingPosition", "StartingPositionTimestamp", WINDOW),
    *("DestinationConfig", "ProvisionedPollerConfig", "MetricsConfig", "LoggingConfig"),
}
_BARE: Final = "Unsupported {name} parameter for given event source mapping type."
_QUOTED: Final = "Unsupported '{camel}' parameter for given event source mapping type."
_STREAM_DUPLICATE: Final = (
    'The event source arn (" {source} ") and function (" {name} ") provided mapping already exists.'
)
_SQS_DUPLICATE: Final = 'An event source mapping with SQS arn (" {source} ") and function (" {name} ") already exists.'
_KAFKA_DUPLICATE: Final = (
    'An event source mapping with event source ("{source}"), function ("{function}"), topics ("{topic}")'
    " already exists."
)
_MQ_DUPLICATE: Final = (
    'An event source mapping with event source ("{source}"), function ("{function}"), queues ("{queue}")'
    " already exists."
)
_DOCUMENTDB_DUPLICATE: Final = (
    'An event source mapping with event source ("{source}") and function ("{function}") already exists.'
)
_ALL_POSITIONS: Final = frozenset({"TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"})
_STREAM_DEFAULTS: Final = Settings(
    batch_size=100,
    window_s=0,
    parallelization_factor=1,
    maximum_record_age_s=-1,
    maximum_retry_attempts=-1,
    bisect_on_error=False,
    tumbling_window_s=0,
)
_NETWORK: Final = frozenset({"VPC_SUBNET", "VPC_SECURITY_GROUP"})
_KAFKA_ACCESS: Final = frozenset(
    {
        *("BASIC_AUTH", "SASL_SCRAM_512_AUTH", "SASL_SCRAM_256_AUTH", "CLIENT_CERTIFICATE_TLS_AUTH"),
        *("SERVER_ROOT_CA_CERTIFICATE", "OAUTHBEARER_AUTH", "OAUTHBEARER_SCOPE", "OAUTHBEARER_AUDIENCE"),
        *("OAUTHBEARER_LOGICAL_CLUSTER", "OAUTHBEARER_IDENTITY_POOL", "IAM_AUTH", "IAM_OAUTHBEARER_AUTH"),
    }
)
_KAFKA_METRICS: Final = frozenset({"EventCount", "ErrorCount", "KafkaMetrics"})
_KAFKA_POLLERS: Final = PollerRange(lowest=1, highest_minimum=200, highest=2000, minimum=1, maximum=200)
_SQS_POLLERS: Final = PollerRange(lowest=2, highest_minimum=200, highest=10_000, minimum=2, maximum=200)

SOURCES: Final[Mapping[str, Source]] = {
    # The name of a FIFO queue ends with .fifo, and no other name may hold a dot.
    "sqs": Source(
        kind=Kind.SQS,
        title="SQS queues",
        arn=("sqs", re.compile(r"[A-Za-z0-9_-]+")),
        options=_SQS_OPTIONS,
        defaults=Settings(batch_size=10, window_s=0),
        metrics=frozenset({"EventCount"}),
        pollers=_SQS_POLLERS,
        refused=_BARE,
        duplicate=_SQS_DUPLICATE,
    ),
    "sqs-fifo": Source(
        kind=Kind.SQS,
        title="SQS queues",
        arn=("sqs", re.compile(r"[A-Za-z0-9_-]+\.fifo")),
        options=_SQS_OPTIONS,
        defaults=Settings(batch_size=10, window_s=0),
        max_batch_size=10,
        metrics=frozenset({"EventCount"}),
        pollers=_SQS_POLLERS,
        refused=_BARE,
        duplicate=_SQS_DUPLICATE,
    ),
    "kinesis": Source(
        kind=Kind.KINESIS,
        title="Kinesis streams",
        arn=("kinesis", re.compile(r"stream/[A-Za-z0-9_.-]+(/consumer/[A-Za-z0-9_.-]+(:\d+)?)?")),
        options=_STREAM_OPTIONS,
        defaults=_STREAM_DEFAULTS,
        positions=_ALL_POSITIONS,
        metrics=frozenset({"EventCount"}),
        reason="User action",
        first_result="No records processed",
        refused=_BARE,
        duplicate=_STREAM_DUPLICATE,
    ),
    "dynamodb": Source(
        kind=Kind.DYNAMODB,
        title="DynamoDB streams",
        arn=("dynamodb", re.compile(r"table/[A-Za-z0-9_.-]+/stream/[^/]+")),
        options=_STREAM_OPTIONS,
        defaults=_STREAM_DEFAULTS,
        positions=frozenset({"TRIM_HORIZON", "LATEST"}),
        metrics=frozenset({"EventCount"}),
        reason="User action",
        first_result="No records processed",
        refused=_BARE,
        duplicate=_STREAM_DUPLICATE,
    ),
    "msk": Source(
        kind=Kind.KAFKA,
        title="Kafka clusters",
        arn=("kafka", re.compile(r"(cluster|vpc-connection)/.+")),
        options=_KAFKA_OPTIONS | {"EventSourceArn", "AmazonManagedKafkaEventSourceConfig"},
        provisioned_only=_KAFKA_NEEDS_PROVISIONED,
        defaults=Settings(batch_size=100),
        positions=_ALL_POSITIONS,
        default_position="TRIM_HORIZON",
        required=("Topics",),
        access=_KAFKA_ACCESS,
        metrics=_KAFKA_METRICS,
        pollers=_KAFKA_POLLERS,
        refused=_QUOTED,
        duplicate=_KAFKA_DUPLICATE,
    ),
    "self-managed-kafka": Source(
        kind=Kind.KAFKA,
        title="Kafka clusters",
        arn=None,
        options=_KAFKA_OPTIONS | {"SelfManagedEventSource", "SelfManagedKafkaEventSourceConfig"},
        provisioned_only=_KAFKA_NEEDS_PROVISIONED,
        defaults=Settings(batch_size=100),
        positions=_ALL_POSITIONS,
        default_position="TRIM_HORIZON",
        required=("SourceAccessConfigurations", "Topics"),
        access=_KAFKA_ACCESS | _NETWORK,
        metrics=_KAFKA_METRICS,
        pollers=_KAFKA_POLLERS,
        refused=_QUOTED,
        duplicate=_KAFKA_DUPLICATE,
    ),
    "mq": Source(
        kind=Kind.MQ,
        title="Amazon MQ brokers",
        arn=("mq", re.compile(r"broker:[^:]+:[^:]+")),
        options=frozenset({"EventSourceArn", "Queues", "SourceAccessConfigurations", WINDOW}),
        defaults=Settings(batch_size=100),
        required=("SourceAccessConfigurations", "Queues"),
        access=frozenset({"BASIC_AUTH", "VIRTUAL_HOST"}),
        required_access="BASIC_AUTH",
        refused=_QUOTED,
        duplicate=_MQ_DUPLICATE,
    ),
    "documentdb": Source(
        kind=Kind.DOCUMENTDB,
        title="DocumentDB change streams",
        arn=("rds", re.compile(r"cluster:[A-Za-z0-9-]+")),
        options=frozenset(
            {
                *("EventSourceArn", "SourceAccessConfigurations", WINDOW, "DocumentDBEventSourceConfig"),
                *("StartingPosition", "StartingPositionTimestamp"),
            }
        ),
        defaults=Settings(batch_size=100),
        positions=_ALL_POSITIONS,
        required=("SourceAccessConfigurations", "DocumentDBEventSourceConfig"),
        access=frozenset({"BASIC_AUTH"}),
        required_access="BASIC_AUTH",
        refused=_QUOTED,
        duplicate=_DOCUMENTDB_DUPLICATE,
    ),
}


def source_of(arn: str | None) -> str | None:
    """The name of the row for an ARN, or for servers without one; None: no such kind of source."""
    if arn is None:
        return "self-managed-kafka"
    try:
        parsed = Arn.parse(arn)
    except ValueError:
        return None
    for name, source in SOURCES.items():
        if source.arn is None:
            continue
        service, resource = source.arn
        if service == parsed.service and parsed.region and parsed.account and resource.fullmatch(parsed.resource):
            return name
    return None
