"""From a request to a mapping: one pure function for create, one for update, every refusal in the words of AWS.

The order of the checks is the order in which AWS was seen to report: the source, its options, where reading starts,
ranges and combinations, filters, the function. Whether source and function exist is looked up by the caller.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from lambent.aws import event_pattern
from lambent.aws.errors import ApiError, conflict, invalid_parameter
from lambent.aws.service import Parameters
from lambent.event_sources.api import options
from lambent.event_sources.records import EventSourceMapping, Settings, State, moved
from lambent.event_sources.sources import SOURCES, Kind, Source, source_of
from lambent.functions.quotas import Quotas


@dataclass(frozen=True, slots=True)
class MappedFunction:
    """What a mapping knows of its function; `arn` with the qualifier that the caller named."""

    arn: str
    name: str
    timeout_s: int
    role: str


@dataclass(frozen=True, slots=True)
class NewMapping:
    """What the server adds to a request."""

    account: str
    region: str
    uuid: str
    now: datetime


def recognised(parameters: Parameters) -> str:
    """The row of `SOURCES` that a create request names."""
    if parameters.get("SelfManagedEventSource") and not parameters.get("SourceAccessConfigurations"):
        raise invalid_parameter("Required 'sourceAccessConfigurations' parameter is missing.")
    arn = parameters.get("EventSourceArn") or None
    if arn is None and not parameters.get("SelfManagedEventSource"):
        raise invalid_parameter("Unrecognized event source.")
    name = source_of(arn)
    if name is None:
        raise invalid_parameter("Unrecognized event source.")
    return name


def validated(
    parameters: Parameters, function: MappedFunction | None, new: NewMapping, quotas: Quotas
) -> EventSourceMapping:
    """The mapping that a create request asks for. `function`: None when there is none of that name."""
    options.refuse_on_success(parameters)
    name = recognised(parameters)
    source = SOURCES[name]
    arn = parameters.get("EventSourceArn") or None
    options.check_known(parameters, source)
    options.check_required(parameters, source)
    position, moment = options.position_of(parameters, source, arn, new.now)
    if parameters.get("ProvisionedPollerConfig") == {}:
        raise invalid_parameter(
            "Either MinimumPollers or MaximumPollers are required if ProvisionedPollerConfig is provided."
        )
    topics = tuple(parameters.get("Topics") or ())
    settings = options.changed(source.defaults, parameters, source, new.uuid)
    check_settings(settings, parameters, source, topics, quotas)
    if function is None:
        raise invalid_parameter("Function does not exist")
    enabled = parameters.get("Enabled") is not False
    endpoints = (parameters.get("SelfManagedEventSource") or {}).get("Endpoints") or {}
    return EventSourceMapping(
        account=new.account,
        region=new.region,
        uuid=new.uuid,
        source=name,
        source_arn=arn,
        function_arn=function.arn,
        function_name=function.name,
        enabled=enabled,
        state=State.CREATING if enabled else State.DISABLED,
        state_reason=source.reason,
        last_modified=new.now,
        last_result=source.first_result,
        settings=settings,
        starting_position=position,
        starting_timestamp=moment,
        topics=topics,
        queues=tuple(parameters.get("Queues") or ()),
        servers=tuple(endpoints.get("KAFKA_BOOTSTRAP_SERVERS") or ()),
        tags=dict(parameters.get("Tags") or {}),
    )


def revised(
    mapping: EventSourceMapping, parameters: Parameters, function: MappedFunction | None, now: datetime, quotas: Quotas
) -> EventSourceMapping:
    """What an update makes of a mapping at rest. `function`: the one named in the request, if it exists."""
    options.refuse_on_success(parameters)
    source = SOURCES[mapping.source]
    options.check_known(parameters, source)
    settings = options.changed(mapping.settings, parameters, source, mapping.uuid)
    check_settings(settings, parameters, source, mapping.topics, quotas)
    if parameters.get("FunctionName") is not None:
        if function is None:
            raise invalid_parameter("Function does not exist")
        mapping = replace(mapping, function_arn=function.arn, function_name=function.name)
    wanted = mapping.enabled if parameters.get("Enabled") is None else bool(parameters["Enabled"])
    switched = State.ENABLING if wanted else State.DISABLING
    state = State.UPDATING if wanted == mapping.enabled else switched
    return replace(
        mapping,
        settings=settings,
        enabled=wanted,
        state=moved(mapping.state, state),
        state_reason=source.reason,
        last_modified=now,
    )


def check_settings(
    settings: Settings, parameters: Parameters, source: Source, topics: tuple[str, ...], quotas: Quotas
) -> None:
    """Ranges and combinations of the settings as they would be."""
    _check_batch(settings, source)
    _check_streams(settings, parameters, source)
    _check_pollers(settings, source)
    for metric in settings.metrics:
        if metric not in source.metrics:
            raise options.refused(source, "MetricsConfig")
    _check_access(settings, parameters, source)
    destination = settings.on_failure
    if destination and not options.destination_is_possible(destination, source, topics, settings.pollers is not None):
        raise invalid_parameter(f"The destination ARN {destination} is invalid.")
    check_filters(settings.filters, quotas)


def _check_batch(settings: Settings, source: Source) -> None:
    if source.kind is not Kind.SQS:
        return
    if settings.batch_size > 10 and not settings.window_s:
        raise invalid_parameter(
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
        )
    if source.max_batch_size <= 10:
        if settings.window_s:
            raise invalid_parameter("Batching window is not supported for FIFO queues")
        if settings.batch_size > source.max_batch_size:
            raise invalid_parameter("Batch size must not exceed 10 for FIFO queues")


def _check_streams(settings: Settings, parameters: Parameters, source: Source) -> None:
    if settings.maximum_record_age_s is not None and 0 <= settings.maximum_record_age_s < 60:
        raise invalid_parameter("MaximumRecordAgeInSeconds must be -1 or between 60 and 604800")
    if settings.pollers is None:
        for name in source.provisioned_only & parameters.keys():
            if parameters[name]:
                raise options.refused(source, name)


def _check_pollers(settings: Settings, source: Source) -> None:
    pollers, bounds = settings.pollers, source.pollers
    if pollers is None or bounds is None:
        return
    if not (
        bounds.lowest <= pollers.minimum <= bounds.highest_minimum
        and pollers.minimum <= pollers.maximum <= bounds.highest
    ):
        raise invalid_parameter(
            f"MinimumPollers should be between [{bounds.lowest}, {bounds.highest_minimum}] and MaximumPollers should be"
            f" between [MinimumPollers, {bounds.highest}]"
        )
    if settings.maximum_concurrency is not None:
        raise invalid_parameter(
            "Provisioned mode for SQS ESM does not support maximum concurrency feature."
            " Use MaximumPollers as the control mechanism and remove maximum concurrency."
        )


def _check_access(settings: Settings, parameters: Parameters, source: Source) -> None:
    if parameters.get("SourceAccessConfigurations") is None:
        return
    types = [access.type for access in settings.access]
    for kind in types:
        if kind not in source.access:
            raise invalid_parameter(f"Unsupported source access configuration type: {kind}")
    if not all(access.uri for access in settings.access):
        raise invalid_parameter("Required 'uri' parameter is missing.")
    if source.required_access is not None and source.required_access not in types:
        raise invalid_parameter(f"Required '{source.required_access}' source access configuration is missing.")
    if source.arn is None and not types:
        raise invalid_parameter("Required 'sourceAccessConfigurations' parameter is missing.")


def check_filters(filters: tuple[str, ...], quotas: Quotas) -> None:
    if len(filters) > quotas.max_event_filters:
        raise invalid_parameter(f"Number of filters exceeds the limit of {quotas.max_event_filters}.")
    for text in filters:
        try:
            event_pattern.parse(text)
        except event_pattern.InvalidPattern:
            raise invalid_parameter("Invalid filter pattern definition.") from None


def already_mapped(mapping: EventSourceMapping, other: EventSourceMapping) -> ApiError | None:
    """The conflict of `mapping` with `other`, of the same account, region and function name."""
    if other.uuid == mapping.uuid or _identity(other) != _identity(mapping):
        return None
    text = SOURCES[mapping.source].duplicate.format(
        source=mapping.source_arn or ",".join(mapping.servers),
        name=mapping.function_name,
        function=mapping.function_arn,
        topic=",".join(mapping.topics),
        queue=",".join(mapping.queues),
    )
    return conflict(f"{text} Please update or delete the existing mapping with UUID {other.uuid}")


def _identity(mapping: EventSourceMapping) -> tuple[object, ...]:
    database = mapping.settings.documentdb
    return (
        mapping.source_arn,
        frozenset(mapping.servers),
        mapping.function_arn,
        mapping.topics,
        mapping.queues,
        database and (database.database, database.collection),
    )
