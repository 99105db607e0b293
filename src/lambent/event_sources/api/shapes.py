"""From a mapping to EventSourceMappingConfiguration. What AWS leaves out is left out: clients compare."""

from typing import Any

from lambent.event_sources.records import Access, EventSourceMapping, Kafka, Settings
from lambent.event_sources.sources import SOURCES


def configuration(mapping: EventSourceMapping, *, listed: bool = False) -> dict[str, Any]:
    """`listed`: a list does not show filters that are encrypted."""
    settings, source = mapping.settings, SOURCES[mapping.source]
    shape: dict[str, Any] = {
        "UUID": mapping.uuid,
        "StartingPosition": mapping.starting_position,
        "StartingPositionTimestamp": mapping.starting_timestamp,
        "BatchSize": settings.batch_size,
        "MaximumBatchingWindowInSeconds": settings.window_s,
        "ParallelizationFactor": settings.parallelization_factor,
        "EventSourceArn": mapping.source_arn,
        "FilterCriteria": None if listed and settings.kms_key_arn else _filters(settings),
        "KMSKeyArn": settings.kms_key_arn,
        "MetricsConfig": {"Metrics": list(settings.metrics)} if settings.metrics else None,
        "LoggingConfig": {"SystemLogLevel": settings.log_level} if settings.log_level else None,
        "ScalingConfig": (
            None if settings.maximum_concurrency is None else {"MaximumConcurrency": settings.maximum_concurrency}
        ),
        "FunctionArn": mapping.function_arn,
        "LastModified": mapping.last_modified,
        "LastProcessingResult": mapping.last_result,
        "State": mapping.state.value,
        "StateTransitionReason": mapping.state_reason,
        "Topics": list(mapping.topics) or None,
        "Queues": list(mapping.queues) or None,
        "SourceAccessConfigurations": _access(settings.access) or None,
        "SelfManagedEventSource": (
            {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": list(mapping.servers)}} if mapping.servers else None
        ),
        "MaximumRecordAgeInSeconds": settings.maximum_record_age_s,
        "BisectBatchOnFunctionError": settings.bisect_on_error,
        "MaximumRetryAttempts": settings.maximum_retry_attempts,
        "TumblingWindowInSeconds": settings.tumbling_window_s,
        "EventSourceMappingArn": mapping.key.arn,
        "ProvisionedPollerConfig": _pollers(settings),
        "DocumentDBEventSourceConfig": _documentdb(settings),
    }
    if settings.kafka is not None:
        member = "AmazonManagedKafkaEventSourceConfig" if mapping.source_arn else "SelfManagedKafkaEventSourceConfig"
        shape[member] = _kafka(settings.kafka)
    if settings.parallelization_factor is not None or settings.on_failure:
        # Streams always show it.
        on_failure = {"Destination": settings.on_failure} if settings.on_failure else {}
        shape["DestinationConfig"] = {"OnFailure": on_failure}
    if settings.response_types or ("FunctionResponseTypes" in source.options - source.provisioned_only):
        shape["FunctionResponseTypes"] = list(settings.response_types)
    return {name: value for name, value in shape.items() if value is not None}


def _filters(settings: Settings) -> dict[str, Any] | None:
    return {"Filters": [{"Pattern": text} for text in settings.filters]} if settings.filters else None


def _access(access: tuple[Access, ...]) -> list[dict[str, str]]:
    members = [{"Type": each.type, "URI": each.uri} for each in access]
    return [{name: text for name, text in each.items() if text} for each in members]


def _pollers(settings: Settings) -> dict[str, Any] | None:
    pollers = settings.pollers
    if pollers is None:
        return None
    shape: dict[str, Any] = {"MinimumPollers": pollers.minimum, "MaximumPollers": pollers.maximum}
    return shape | ({"PollerGroupName": pollers.group} if pollers.group else {})


def _kafka(kafka: Kafka) -> dict[str, Any]:
    shape: dict[str, Any] = {"ConsumerGroupId": kafka.consumer_group}
    registry = kafka.schema_registry
    if registry is not None:
        members = {
            "SchemaRegistryURI": registry.uri,
            "EventRecordFormat": registry.record_format,
            "AccessConfigs": _access(registry.access) or None,
            "SchemaValidationConfigs": [{"Attribute": each} for each in registry.validated] or None,
        }
        shape["SchemaRegistryConfig"] = {name: value for name, value in members.items() if value is not None}
    return shape


def _documentdb(settings: Settings) -> dict[str, str] | None:
    config = settings.documentdb
    if config is None:
        return None
    members = {
        "DatabaseName": config.database,
        "CollectionName": config.collection,
        "FullDocument": config.full_document,
    }
    return {name: value for name, value in members.items() if value is not None}
