"""Whatever the model allows becomes a mapping or an `ApiError`; a mapping has a reply that fits, and a row."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from lambent.aws.errors import ApiError
from lambent.aws.models import service_model
from lambent.aws.validation import failures
from lambent.event_sources.api.shapes import configuration
from lambent.event_sources.api.validation import MappedFunction, NewMapping, already_mapped, revised, validated
from lambent.event_sources.reconcile import settled, woken
from lambent.event_sources.records import AT_REST, NEXT, EventSourceMapping, State
from lambent.functions.quotas import Quotas
from tests.contract.event_sources.conftest import BASIC, BROKER, DOCUMENTS, FIFO, MSK, QUEUE, SERVERS, STREAM, TABLE

NOW: Final = datetime(2026, 11, 20, tzinfo=UTC)
FUNCTION: Final = MappedFunction("arn:aws:lambda:us-east-1:123456789012:function:f", "f", 3, "r")
NEW: Final = NewMapping("123456789012", "us-east-1", "0f0e0d0c-0000-4000-8000-000000000000", NOW)
DESTINATIONS: Final = ["", QUEUE, "arn:aws:s3:::b", "kafka://t", "kafka://orders", FUNCTION.arn]
KAFKA: Final = st.fixed_dictionaries(
    {},
    optional={
        "ConsumerGroupId": st.sampled_from(["g", "h"]),
        "SchemaRegistryConfig": st.sampled_from(
            [{}, {"SchemaRegistryURI": "u"}, {"AccessConfigs": [{"Type": "BASIC_AUTH"}], "EventRecordFormat": "JSON"}]
        ),
        "ConsumptionMode": st.just("Queue"),
    },
)
MUTABLE: Final[dict[str, st.SearchStrategy[Any]]] = {
    "Enabled": st.booleans(),
    "BatchSize": st.sampled_from([1, 10, 11, 10_000]),
    "FilterCriteria": st.sampled_from(
        [{}, {"Filters": []}, {"Filters": [{}]}, {"Filters": [{"Pattern": "{}"}]}, {"Filters": [{"Pattern": "["}] * 6}]
    ),
    "KMSKeyArn": st.sampled_from(["", "arn:aws:kms:us-east-1:123456789012:key/k"]),
    "MetricsConfig": st.sampled_from([{}, {"Metrics": ["EventCount"]}, {"Metrics": ["KafkaMetrics"]}]),
    "LoggingConfig": st.sampled_from([{}, {"SystemLogLevel": "WARN"}]),
    "ScalingConfig": st.sampled_from([{}, {"MaximumConcurrency": 2}]),
    "MaximumBatchingWindowInSeconds": st.sampled_from([0, 1, 300]),
    "ParallelizationFactor": st.sampled_from([1, 10]),
    "DestinationConfig": st.one_of(
        st.sampled_from([{}, {"OnFailure": {}}, {"OnSuccess": {}}]),
        st.sampled_from(DESTINATIONS).map(lambda name: {"OnFailure": {"Destination": name}}),
    ),
    "MaximumRecordAgeInSeconds": st.sampled_from([-1, 0, 60]),
    "BisectBatchOnFunctionError": st.booleans(),
    "MaximumRetryAttempts": st.sampled_from([-1, 0, 10_000]),
    "TumblingWindowInSeconds": st.sampled_from([0, 900]),
    "SourceAccessConfigurations": st.sampled_from([[], [{}], BASIC, [{"Type": "VIRTUAL_HOST", "URI": "/"}, *BASIC]]),
    "FunctionResponseTypes": st.sampled_from([[], ["ReportBatchItemFailures"]]),
    "AmazonManagedKafkaEventSourceConfig": KAFKA,
    "SelfManagedKafkaEventSourceConfig": KAFKA,
    "DocumentDBEventSourceConfig": st.sampled_from([{}, {"DatabaseName": "d"}, {"CollectionName": "c"}]),
    "ProvisionedPollerConfig": st.sampled_from(
        [{}, {"MinimumPollers": 2}, {"MaximumPollers": 1}, {"MinimumPollers": 200, "PollerGroupName": "g"}]
    ),
}
ARNS: Final = ["", QUEUE, FIFO, STREAM, TABLE, MSK, BROKER, DOCUMENTS, "arn:aws:sqs:::", "arn:aws:s3:::b"]
FIXED: Final[dict[str, st.SearchStrategy[Any]]] = {
    "EventSourceArn": st.sampled_from(ARNS),
    "StartingPosition": st.sampled_from(["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"]),
    "StartingPositionTimestamp": st.sampled_from([NOW, NOW.replace(year=1950), NOW.replace(year=2050)]),
    "Topics": st.just(["orders"]),
    "Queues": st.just(["q"]),
    "SelfManagedEventSource": st.sampled_from([{}, SERVERS]),
    "Tags": st.just({"a": "b"}),
}


def some(members: dict[str, st.SearchStrategy[Any]], at_most: int) -> st.SearchStrategy[dict[str, Any]]:
    """A request of a few members: with many, every one would be refused."""
    chosen = st.lists(st.sampled_from(sorted(members)), max_size=at_most, unique=True)
    return chosen.flatmap(lambda names: st.fixed_dictionaries({name: members[name] for name in names}))


BASES: Final = st.sampled_from(
    [
        {},
        {"EventSourceArn": QUEUE},
        {"EventSourceArn": FIFO},
        {"EventSourceArn": STREAM, "StartingPosition": "LATEST"},
        {"EventSourceArn": TABLE, "StartingPosition": "LATEST"},
        {"EventSourceArn": MSK, "Topics": ["orders"]},
        {"SelfManagedEventSource": SERVERS, "Topics": ["orders"], "SourceAccessConfigurations": BASIC},
        {"EventSourceArn": BROKER, "Queues": ["q"], "SourceAccessConfigurations": BASIC},
    ]
)
REQUESTS: Final = st.builds(
    lambda base, fixed, mutable: {**base, **mutable, **fixed}, BASES, some(FIXED, 2), some(MUTABLE, 4)
)


def checked(mapping: EventSourceMapping) -> None:
    shape = service_model("lambda").shape_for("EventSourceMappingConfiguration")
    assert failures(shape, configuration(mapping)) == []
    assert msgspec.json.decode(msgspec.json.encode(mapping), type=EventSourceMapping) == mapping


@settings(max_examples=400)
@given(request=REQUESTS, changes=st.lists(some(MUTABLE, 4), max_size=2), readable=st.booleans())
def test_requests_make_mappings_or_are_refused(
    request: dict[str, Any], changes: list[dict[str, Any]], readable: bool
) -> None:
    try:
        mapping = validated({"FunctionName": "f", **request}, FUNCTION, NEW, Quotas())
    except ApiError:
        return
    checked(mapping)
    assert already_mapped(mapping, mapping) is None
    assert already_mapped(mapping, replace(mapping, uuid="other")) is not None
    for change in changes:
        if mapping.state not in AT_REST:
            ended = settled(mapping, readable)
            assert ended is not None
            mapping = ended
        try:
            mapping = revised(mapping, change, None, NOW, Quotas())
        except ApiError:
            continue
        checked(mapping)


@given(state=st.sampled_from(State), enabled=st.booleans(), readable=st.booleans())
def test_every_state_comes_to_rest(state: State, enabled: bool, readable: bool) -> None:
    sent = {"FunctionName": "f", "EventSourceArn": QUEUE}
    mapping = replace(validated(sent, FUNCTION, NEW, Quotas()), state=state, enabled=enabled)
    begun = woken(mapping, readable)
    assert begun.state is state or begun.state in NEXT[state]
    ended = begun if begun.state in AT_REST else settled(begun, readable)
    if ended is not None and (again := woken(ended, readable)).state is not ended.state:
        # Disabling when a server with a poller starts.
        ended = settled(again, readable)
    if state is State.DELETING:
        assert ended is None
        return
    assert ended is not None
    if state is not State.ENABLED or enabled:
        assert ended.state is (State.ENABLED if enabled and readable else State.DISABLED)
    assert ended.enabled is enabled
