"""Which members a kind of source knows, where reading starts, and how sent members become settings. Pure.

AWS's texts where they were recorded; the others are marked in docs/event-source-mappings.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from lambent.aws.arn import Arn
from lambent.aws.errors import ApiError, invalid_parameter
from lambent.aws.service import Parameters
from lambent.event_sources.records import Access, DocumentDb, Kafka, Pollers, SchemaRegistry, Settings
from lambent.event_sources.sources import KNOWN_TO_ALL, Kind, Source

KAFKA_CONFIGS: Final = ("AmazonManagedKafkaEventSourceConfig", "SelfManagedKafkaEventSourceConfig")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PLAIN: Final[Mapping[str, str]] = {
    "BatchSize": "batch_size",
    "MaximumBatchingWindowInSeconds": "window_s",
    "ParallelizationFactor": "parallelization_factor",
    "MaximumRecordAgeInSeconds": "maximum_record_age_s",
    "MaximumRetryAttempts": "maximum_retry_attempts",
    "BisectBatchOnFunctionError": "bisect_on_error",
    "TumblingWindowInSeconds": "tumbling_window_s",
}
"""Members that are settings as they are."""


def camel(name: str) -> str:
    return name[:1].lower() + name[1:]


def refused(source: Source, name: str) -> ApiError:
    return invalid_parameter(source.refused.format(name=name, camel=camel(name)))


def refuse_on_success(parameters: Parameters) -> None:
    if "OnSuccess" in (parameters.get("DestinationConfig") or {}):
        raise invalid_parameter("Unsupported DestinationConfig parameter for given event source mapping type.")


def check_known(parameters: Parameters, source: Source) -> None:
    """Refuse what this kind of source does not know."""
    for name, value in parameters.items():
        if value is None or name in KNOWN_TO_ALL or name in source.options:
            continue
        if source.kind is Kind.SQS and name.startswith("StartingPosition"):
            raise invalid_parameter("StartingPosition is not valid for SQS event sources.")
        raise refused(source, name)
    for config in KAFKA_CONFIGS:
        if (parameters.get(config) or {}).get("ConsumptionMode"):
            # As AWS still answered in September 2026.
            raise invalid_parameter("Unsupported 'ConsumptionMode' parameter for given event source mapping type.")


def check_required(parameters: Parameters, source: Source) -> None:
    for name in source.required:
        if not parameters.get(name):
            raise invalid_parameter(f"Required '{camel(name)}' parameter is missing.")


def position_of(
    parameters: Parameters, source: Source, source_arn: str | None, now: datetime
) -> tuple[str | None, datetime | None]:
    """Where reading starts: position and, for AT_TIMESTAMP, the moment."""
    position, moment = parameters.get("StartingPosition"), parameters.get("StartingPositionTimestamp")
    if not source.positions:
        return None, None
    if position is None:
        if source.default_position is None:
            raise invalid_parameter(
                "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint:"
                " Member must not be null."
            )
        position = source.default_position
    if position not in source.positions:
        raise invalid_parameter(f"Unsupported starting position for arn type: {source_arn}")
    if position != "AT_TIMESTAMP":
        if moment is not None:
            raise invalid_parameter("Timestamp only valid with StartingPosition AT_TIMESTAMP")
        return position, None
    if moment is None:
        raise invalid_parameter("Need to specify a timestamp")
    if moment < _EPOCH:
        raise invalid_parameter(
            "Received Exception while reading from provided stream."
            " class java.lang.Long can not be converted to a Timestamp"
        )
    if moment > now:
        raise invalid_parameter("StartingPositionTimestamp cannot be in the future")
    return position, moment


def changed(settings: Settings, parameters: Parameters, source: Source, uuid: str) -> Settings:
    """`settings` with what was sent in place of what was; an empty structure takes its setting away."""
    new: dict[str, Any] = {
        setting: parameters[name] for name, setting in _PLAIN.items() if parameters.get(name) is not None
    }
    if (criteria := parameters.get("FilterCriteria")) is not None:
        sent = [each.get("Pattern") for each in criteria.get("Filters") or ()]
        # A filter without a pattern filters nothing, and is dropped as empty criteria are.
        new["filters"] = tuple(text for text in sent if text is not None)
    if parameters.get("KMSKeyArn") is not None:
        new["kms_key_arn"] = parameters["KMSKeyArn"] or None
    if (destinations := parameters.get("DestinationConfig")) is not None:
        new["on_failure"] = (destinations.get("OnFailure") or {}).get("Destination") or None
    if (types := parameters.get("FunctionResponseTypes")) is not None:
        new["response_types"] = tuple(types)
    if (scaling := parameters.get("ScalingConfig")) is not None:
        new["maximum_concurrency"] = scaling.get("MaximumConcurrency")
    if (metrics := parameters.get("MetricsConfig")) is not None:
        new["metrics"] = tuple(metrics.get("Metrics") or ())
    if (logging := parameters.get("LoggingConfig")) is not None:
        new["log_level"] = logging.get("SystemLogLevel")
    if (access := parameters.get("SourceAccessConfigurations")) is not None:
        new["access"] = _access(access)
    if (pollers := parameters.get("ProvisionedPollerConfig")) is not None:
        new["pollers"] = _pollers(pollers, settings.pollers, source)
    if source.kind is Kind.KAFKA:
        new["kafka"] = _kafka(parameters, settings.kafka, uuid)
    if (documentdb := parameters.get("DocumentDBEventSourceConfig")) is not None:
        new["documentdb"] = _documentdb(documentdb, settings.documentdb)
    return replace(settings, **new)


def _access(sent: Sequence[Mapping[str, str]]) -> tuple[Access, ...]:
    return tuple(Access(each.get("Type", ""), each.get("URI", "")) for each in sent)


def _pollers(sent: Mapping[str, Any], current: Pollers | None, source: Source) -> Pollers | None:
    if not sent:
        return None
    assert source.pollers is not None
    group = sent.get("PollerGroupName")
    if group and source.kind is Kind.SQS:
        raise refused(source, "PollerGroupName")
    default = current or Pollers(source.pollers.minimum, source.pollers.maximum)
    return Pollers(
        sent.get("MinimumPollers") or default.minimum,
        sent.get("MaximumPollers") or default.maximum,
        default.group if group is None else group or None,
    )


def _kafka(parameters: Parameters, current: Kafka | None, uuid: str) -> Kafka:
    current = current or Kafka(consumer_group="")
    sent: Mapping[str, Any] = next((parameters[name] for name in KAFKA_CONFIGS if parameters.get(name)), {})
    group = sent.get("ConsumerGroupId")
    if current.consumer_group and group not in (None, current.consumer_group):
        raise invalid_parameter("ConsumerGroupId cannot be changed after the event source mapping was created.")
    registry = current.schema_registry
    if (config := sent.get("SchemaRegistryConfig")) is not None:
        registry = None if not config else _registry(config)
    return Kafka(consumer_group=current.consumer_group or group or uuid, schema_registry=registry)


def _registry(sent: Mapping[str, Any]) -> SchemaRegistry:
    return SchemaRegistry(
        uri=sent.get("SchemaRegistryURI"),
        record_format=sent.get("EventRecordFormat"),
        access=_access(sent.get("AccessConfigs") or ()),
        validated=tuple(each.get("Attribute", "") for each in sent.get("SchemaValidationConfigs") or ()),
    )


def _documentdb(sent: Mapping[str, str], current: DocumentDb | None) -> DocumentDb:
    database = sent.get("DatabaseName") or (current.database if current else None)
    if not database:
        raise invalid_parameter("Required 'databaseName' parameter is missing.")
    return DocumentDb(
        database=database,
        collection=sent.get("CollectionName") or (current.collection if current else None),
        full_document=sent.get("FullDocument") or (current.full_document if current else None),
    )


def destination_is_possible(destination: str, source: Source, topics: Sequence[str], provisioned: bool) -> bool:
    if destination.startswith("kafka://"):
        topic = destination.removeprefix("kafka://")
        return source.kind is Kind.KAFKA and provisioned and topic not in topics
    try:
        return Arn.parse(destination).service in ("sqs", "sns", "s3")
    except ValueError:
        return False
