"""From a request to a mapping: one pure function for create, one for update, every refusal in the words of AWS.

The order of the checks is the order in which AWS was seen to report: the source, its options, where reading starts,
ranges and combinations, filters, the function. Whether source and function exist is looked up by the caller.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from lambent.aws.errors import ApiError, conflict, invalid_parameter
from lambent.aws.service import Parameters
from lambent.event_sources.api import combinations, options
from lambent.event_sources.records import EventSourceMapping, State, moved
from lambent.event_sources.sources import SOURCES, source_of
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
    combinations.check_settings(settings, source, topics, quotas)
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
    combinations.check_settings(settings, source, mapping.topics, quotas)
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
