"""CreateEventSourceMapping: replies and refusals. The tables are the recorded lines of the specification, 6.1."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from lambent.testing.aws_client import aws_client
from tests.contract.event_sources.conftest import (
    BASIC,
    BROKER,
    DOCUMENTS,
    FIFO,
    MINIMAL,
    MSK,
    QUEUE,
    SERVERS,
    STREAM,
    TABLE,
    Mappings,
    Server,
)
from tests.contract.functions.conftest import ACCOUNT, ARN

IPV = "InvalidParameterValueException"
RCE = "ResourceConflictException"
STREAM_DEFAULTS = {
    "BatchSize": 100,
    "BisectBatchOnFunctionError": False,
    "DestinationConfig": {"OnFailure": {}},
    "FunctionResponseTypes": [],
    "LastProcessingResult": "No records processed",
    "MaximumBatchingWindowInSeconds": 0,
    "MaximumRecordAgeInSeconds": -1,
    "MaximumRetryAttempts": -1,
    "ParallelizationFactor": 1,
    "StateTransitionReason": "User action",
    "TumblingWindowInSeconds": 0,
}
QUEUE_DEFAULTS = {
    "BatchSize": 10,
    "FunctionResponseTypes": [],
    "MaximumBatchingWindowInSeconds": 0,
    "StateTransitionReason": "USER_INITIATED",
}
BROKER_DEFAULTS = {"BatchSize": 100, "StateTransitionReason": "USER_INITIATED"}
DEFAULTS: Mapping[str, dict[str, Any]] = {
    "sqs": QUEUE_DEFAULTS,
    "sqs-fifo": QUEUE_DEFAULTS,
    "kinesis": STREAM_DEFAULTS,
    "kinesis-consumer": STREAM_DEFAULTS,
    "dynamodb": STREAM_DEFAULTS,
    "msk": BROKER_DEFAULTS,
    "self-managed-kafka": {**BROKER_DEFAULTS, "StartingPosition": "TRIM_HORIZON"},
    "mq": BROKER_DEFAULTS,
    "documentdb": BROKER_DEFAULTS,
}


@pytest.mark.parametrize("source", MINIMAL)
async def test_the_reply_shows_the_defaults_of_the_source(mapped: Mappings, source: str) -> None:
    reply = dict(await mapped.mapped(source))
    assert reply.pop("ResponseMetadata")["HTTPStatusCode"] == 202
    uuid = reply.pop("UUID")
    assert reply.pop("EventSourceMappingArn") == f"arn:aws:lambda:us-east-1:{ACCOUNT}:event-source-mapping:{uuid}"
    assert isinstance(reply.pop("LastModified"), datetime)
    if source in ("msk", "self-managed-kafka"):
        kind = "AmazonManaged" if source == "msk" else "SelfManaged"
        assert reply.pop(f"{kind}KafkaEventSourceConfig") == {"ConsumerGroupId": uuid}
    assert reply == {"FunctionArn": ARN + "f", "State": "Creating", **DEFAULTS[source], **MINIMAL[source]}


@pytest.mark.parametrize("source", MINIMAL)
async def test_a_mapping_created_disabled_is_disabled_at_once(mapped: Mappings, source: str) -> None:
    reply = await mapped.mapped(source, Enabled=False)
    assert reply["State"] == "Disabled"
    assert reply["StateTransitionReason"] == DEFAULTS[source]["StateTransitionReason"]
    assert (await mapped.get_event_source_mapping(UUID=reply["UUID"]))["State"] == "Disabled"


ALL_OPTIONS: Mapping[str, dict[str, Any]] = {
    "sqs": {
        "BatchSize": 10_000,
        "MaximumBatchingWindowInSeconds": 300,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "FilterCriteria": {"Filters": [{"Pattern": '{"body":{"n":[{"numeric":[">",3]}]}}'}]},
        "ScalingConfig": {"MaximumConcurrency": 2},
        "MetricsConfig": {"Metrics": ["EventCount"]},
    },
    "sqs-fifo": {"ProvisionedPollerConfig": {"MinimumPollers": 2, "MaximumPollers": 10_000}},
    "kinesis": {
        "StartingPosition": "AT_TIMESTAMP",
        "StartingPositionTimestamp": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "BatchSize": 1,
        "MaximumBatchingWindowInSeconds": 1,
        "ParallelizationFactor": 10,
        "MaximumRetryAttempts": 0,
        "MaximumRecordAgeInSeconds": 60,
        "BisectBatchOnFunctionError": True,
        "TumblingWindowInSeconds": 900,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "DestinationConfig": {"OnFailure": {"Destination": QUEUE}},
    },
    "dynamodb": {"DestinationConfig": {"OnFailure": {"Destination": "arn:aws:s3:::failures"}}},
    "msk": {
        "AmazonManagedKafkaEventSourceConfig": {
            "ConsumerGroupId": "g",
            "SchemaRegistryConfig": {
                "SchemaRegistryURI": "https://registry",
                "EventRecordFormat": "JSON",
                "AccessConfigs": [{"Type": "BASIC_AUTH", "URI": BASIC[0]["URI"]}],
                "SchemaValidationConfigs": [{"Attribute": "KEY"}],
            },
        },
        "ProvisionedPollerConfig": {"MinimumPollers": 1, "MaximumPollers": 2000, "PollerGroupName": "p"},
        "MaximumRetryAttempts": 3,
        "MaximumRecordAgeInSeconds": 604_800,
        "BisectBatchOnFunctionError": True,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "DestinationConfig": {"OnFailure": {"Destination": "kafka://failures"}},
        "LoggingConfig": {"SystemLogLevel": "DEBUG"},
        "MetricsConfig": {"Metrics": ["EventCount", "ErrorCount", "KafkaMetrics"]},
        "MaximumBatchingWindowInSeconds": 7,
    },
    "mq": {"SourceAccessConfigurations": [*BASIC, {"Type": "VIRTUAL_HOST", "URI": "/"}]},
    "documentdb": {
        "DocumentDBEventSourceConfig": {"DatabaseName": "d", "CollectionName": "c", "FullDocument": "UpdateLookup"}
    },
}


@pytest.mark.parametrize("source", ALL_OPTIONS)
async def test_every_option_of_a_source_comes_back_as_it_was_sent(mapped: Mappings, source: str) -> None:
    sent = {**MINIMAL[source], **ALL_OPTIONS[source]}
    uuid = (await mapped.mapped(source, **ALL_OPTIONS[source]))["UUID"]
    reply = await mapped.at_rest(uuid)
    assert {name: reply.get(name) for name in sent} == sent


async def test_half_of_provisioned_mode_gets_the_default_of_the_source(mapped: Mappings) -> None:
    reply = await mapped.mapped("sqs", ProvisionedPollerConfig={"MinimumPollers": 5})
    assert reply["ProvisionedPollerConfig"] == {"MinimumPollers": 5, "MaximumPollers": 200}
    reply = await mapped.mapped("msk", ProvisionedPollerConfig={"MaximumPollers": 5})
    assert reply["ProvisionedPollerConfig"] == {"MinimumPollers": 1, "MaximumPollers": 5}


@pytest.mark.parametrize("criteria", [{}, {"Filters": []}, {"Filters": [{}]}])
async def test_empty_filter_criteria_are_not_in_the_reply(mapped: Mappings, criteria: dict[str, Any]) -> None:
    assert "FilterCriteria" not in await mapped.mapped(FilterCriteria=criteria)


NULL_POSITION = (
    "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not be"
    " null."
)
TOO_WIDE = "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
NO_DESTINATIONS = "Unsupported DestinationConfig parameter for given event source mapping type."
POLLER_RANGE = "MinimumPollers should be between [{}, 200] and MaximumPollers should be between [MinimumPollers, {}]"
REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({}, IPV, "Unrecognized event source."),
    ({"EventSourceArn": "arn:aws:s3:::bucket"}, IPV, "Unrecognized event source."),
    ({"EventSourceArn": TABLE.partition("/stream")[0]}, IPV, "Unrecognized event source."),
    ({**MINIMAL["sqs"], "FunctionName": "nope"}, IPV, "Function does not exist"),
    ({**MINIMAL["sqs"], "FunctionName": "f:nope"}, IPV, "Function does not exist"),
    ({**MINIMAL["sqs"], "FunctionName": "f:7"}, IPV, "Function does not exist"),
    ({"EventSourceArn": STREAM}, IPV, NULL_POSITION),
    ({"EventSourceArn": TABLE}, IPV, NULL_POSITION),
    (
        {"EventSourceArn": STREAM, "StartingPosition": "0"},
        "ValidationException",
        "1 validation error detected: Value '0' at 'startingPosition' failed to satisfy constraint: Member must"
        " satisfy enum value set: [LATEST, AT_TIMESTAMP, TRIM_HORIZON]",
    ),
    (
        {"EventSourceArn": TABLE, "StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": 1},
        IPV,
        f"Unsupported starting position for arn type: {TABLE}",
    ),
    (
        {"EventSourceArn": STREAM, "StartingPosition": "LATEST", "StartingPositionTimestamp": 1},
        IPV,
        "Timestamp only valid with StartingPosition AT_TIMESTAMP",
    ),
    (
        {"EventSourceArn": STREAM, "StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": -1},
        IPV,
        "Received Exception while reading from provided stream. class java.lang.Long can not be converted to a"
        " Timestamp",
    ),
    ({"EventSourceArn": STREAM, "StartingPosition": "AT_TIMESTAMP"}, IPV, "Need to specify a timestamp"),
    (
        {"EventSourceArn": STREAM, "StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": 2**33},
        IPV,
        "StartingPositionTimestamp cannot be in the future",
    ),
    (
        {"EventSourceArn": QUEUE, "StartingPosition": "LATEST"},
        IPV,
        "StartingPosition is not valid for SQS event sources.",
    ),
    ({"EventSourceArn": QUEUE, "BatchSize": 11}, IPV, TOO_WIDE),
    ({"EventSourceArn": FIFO, "BatchSize": 11}, IPV, TOO_WIDE),
    (
        {"EventSourceArn": FIFO, "BatchSize": 100, "MaximumBatchingWindowInSeconds": 5},
        IPV,
        "Batching window is not supported for FIFO queues",
    ),
    (
        {**MINIMAL["kinesis"], "DestinationConfig": {"OnSuccess": {"Destination": QUEUE}}},
        IPV,
        NO_DESTINATIONS,
    ),
    ({"EventSourceArn": QUEUE, "DestinationConfig": {"OnFailure": {"Destination": QUEUE}}}, IPV, NO_DESTINATIONS),
    (
        {**MINIMAL["kinesis"], "DestinationConfig": {"OnFailure": {"Destination": ARN + "f"}}},
        IPV,
        f"The destination ARN {ARN}f is invalid.",
    ),
    (
        {**MINIMAL["msk"], "DestinationConfig": {"OnFailure": {"Destination": "kafka://failures"}}},
        IPV,
        "The destination ARN kafka://failures is invalid.",
    ),
    (
        {"SelfManagedEventSource": SERVERS, "Topics": ["orders"]},
        IPV,
        "Required 'sourceAccessConfigurations' parameter is missing.",
    ),
    ({"EventSourceArn": MSK}, IPV, "Required 'topics' parameter is missing."),
    ({"EventSourceArn": BROKER, "SourceAccessConfigurations": BASIC}, IPV, "Required 'queues' parameter is missing."),
    (
        {"EventSourceArn": DOCUMENTS, "SourceAccessConfigurations": BASIC, "StartingPosition": "LATEST"},
        IPV,
        "Required 'documentDBEventSourceConfig' parameter is missing.",
    ),
    (
        {**MINIMAL["mq"], "SourceAccessConfigurations": [{"Type": "VIRTUAL_HOST", "URI": "/"}]},
        IPV,
        "Required 'BASIC_AUTH' source access configuration is missing.",
    ),
    (
        {**MINIMAL["msk"], "SourceAccessConfigurations": [{"Type": "BASIC_AUTH"}]},
        IPV,
        "Required 'uri' parameter is missing.",
    ),
    (
        {**MINIMAL["msk"], "SourceAccessConfigurations": [{"Type": "VIRTUAL_HOST", "URI": "/"}]},
        IPV,
        "Unsupported source access configuration type: VIRTUAL_HOST",
    ),
    (
        {**MINIMAL["msk"], "MaximumRetryAttempts": 1},
        IPV,
        "Unsupported 'maximumRetryAttempts' parameter for given event source mapping type.",
    ),
    (
        {**MINIMAL["self-managed-kafka"], "MaximumRetryAttempts": 0},
        IPV,
        "Unsupported 'maximumRetryAttempts' parameter for given event source mapping type.",
    ),
    (
        {**MINIMAL["mq"], "ParallelizationFactor": 1},
        IPV,
        "Unsupported 'parallelizationFactor' parameter for given event source mapping type.",
    ),
    (
        {**MINIMAL["self-managed-kafka"], "SelfManagedKafkaEventSourceConfig": {"ConsumptionMode": "Queue"}},
        IPV,
        "Unsupported 'ConsumptionMode' parameter for given event source mapping type.",
    ),
    (
        {**MINIMAL["sqs"], "ParallelizationFactor": 1},
        IPV,
        "Unsupported ParallelizationFactor parameter for given event source mapping type.",
    ),
    (
        {**MINIMAL["sqs"], "ProvisionedPollerConfig": {}},
        IPV,
        "Either MinimumPollers or MaximumPollers are required if ProvisionedPollerConfig is provided.",
    ),
    ({**MINIMAL["sqs"], "ProvisionedPollerConfig": {"MinimumPollers": 1}}, IPV, POLLER_RANGE.format(2, 10_000)),
    ({**MINIMAL["msk"], "ProvisionedPollerConfig": {"MaximumPollers": 2001}}, IPV, POLLER_RANGE.format(1, 2000)),
    (
        {
            **MINIMAL["sqs"],
            "ProvisionedPollerConfig": {"MinimumPollers": 2},
            "ScalingConfig": {"MaximumConcurrency": 2},
        },
        IPV,
        "Provisioned mode for SQS ESM does not support maximum concurrency feature. Use MaximumPollers as the control"
        " mechanism and remove maximum concurrency.",
    ),
    *(
        (
            {**MINIMAL["sqs"], "FilterCriteria": {"Filters": [{"Pattern": pattern}]}},
            IPV,
            "Invalid filter pattern definition.",
        )
        for pattern in (
            *("null", '"simple"', '{"eventSource":"aws:sqs"}', '{"eventSource":[]}', "{", "", '{"a":{}}'),
            *('{"a":[{"prefix":1}]}', '{"a":[{"numeric":[">","1"]}]}', '{"a":[{"like":"x"}]}', '{"a":[NaN]}'),
        )
    ),
]


@pytest.mark.parametrize(("sent", "code", "message"), REFUSED)
async def test_a_bad_request_is_refused_in_the_words_of_aws(
    mapped: Mappings, sent: dict[str, Any], code: str, message: str
) -> None:
    refused = await mapped.refused("create_event_source_mapping", **{"FunctionName": "f", **sent})
    assert refused == (400, code, message)
    assert (await mapped.list_event_source_mappings())["EventSourceMappings"] == []


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("sqs", f'An event source mapping with SQS arn (" {QUEUE} ") and function (" f ") already exists.'),
        ("kinesis", f'The event source arn (" {STREAM} ") and function (" f ") provided mapping already exists.'),
        ("dynamodb", f'The event source arn (" {TABLE} ") and function (" f ") provided mapping already exists.'),
        (
            "self-managed-kafka",
            f'An event source mapping with event source ("kafka:9092,kafka2:9092"), function ("{ARN}f"), topics'
            ' ("orders") already exists.',
        ),
        (
            "msk",
            f'An event source mapping with event source ("{MSK}"), function ("{ARN}f"), topics ("orders")'
            " already exists.",
        ),
    ],
)
async def test_a_second_mapping_of_the_same_is_a_conflict(mapped: Mappings, source: str, message: str) -> None:
    uuid = (await mapped.mapped(source))["UUID"]
    refused = await mapped.refused("create_event_source_mapping", FunctionName="f", **MINIMAL[source])
    assert refused == (409, RCE, f"{message} Please update or delete the existing mapping with UUID {uuid}")


@pytest.mark.parametrize(
    ("name", "qualifier"),
    [
        ("f", ""),
        ("function:f", ""),
        (f"{ACCOUNT}:function:f", ""),
        (ARN + "f", ""),
        (f"{ACCOUNT}:function:f:$LATEST", ":$LATEST"),
        (f"{ACCOUNT}:function:f:1", ":1"),
        (f"{ACCOUNT}:function:f:live", ":live"),
        (ARN + "f:live", ":live"),
    ],
)
async def test_the_function_is_shown_with_the_qualifier_that_was_named(
    mapped: Mappings, name: str, qualifier: str
) -> None:
    """As recorded from AWS for every form of a name."""
    await mapped.publish_version(FunctionName="f")
    await mapped.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    assert (await mapped.mapped(function=name))["FunctionArn"] == f"{ARN}f{qualifier}"


async def test_a_version_keeps_its_qualifier_and_is_another_function(mapped: Mappings) -> None:
    await mapped.publish_version(FunctionName="f")
    await mapped.mapped()
    assert (await mapped.mapped(function="f:1"))["FunctionArn"] == ARN + "f:1"
    assert (await mapped.mapped(function=ARN + "f:$LATEST"))["FunctionArn"] == ARN + "f:$LATEST"
    assert (await mapped.refused("create_event_source_mapping", FunctionName="f:1", **MINIMAL["sqs"]))[1] == RCE


async def test_more_filters_than_the_quota_are_refused(mapped: Mappings) -> None:
    filters = [{"Pattern": '{"body":["x"]}'}] * 6
    _, code, message = await mapped.refused(
        "create_event_source_mapping", FunctionName="f", **MINIMAL["sqs"], FilterCriteria={"Filters": filters}
    )
    assert (code, "5" in message) == (IPV, True)


async def test_accounts_and_regions_do_not_see_each_other(mapped: Mappings, server: Server) -> None:
    uuid = (await mapped.mapped())["UUID"]
    for account, region in (("210987654321", "us-east-1"), (ACCOUNT, "eu-west-1")):
        async with aws_client("lambda", server.operations(), account=account, region=region) as client:
            other = Mappings(client)
            assert (await other.list_event_source_mappings())["EventSourceMappings"] == []
            for operation in ("get", "update", "delete"):
                refused = await other.refused(f"{operation}_event_source_mapping", UUID=uuid)
                assert refused == (404, "ResourceNotFoundException", "The resource you requested does not exist.")


async def test_a_function_of_another_account_cannot_be_mapped(mapped: Mappings) -> None:
    name = "210987654321:function:f"
    status, code, _ = await mapped.refused("create_event_source_mapping", FunctionName=name, **MINIMAL["sqs"])
    assert (status, code) == (403, "AccessDeniedException")


async def test_a_function_with_tenants_has_no_mapping(lambda_: Mappings) -> None:
    await lambda_.created(TenancyConfig={"TenantIsolationMode": "PER_TENANT"})
    status, code, message = await lambda_.refused("create_event_source_mapping", FunctionName="f", **MINIMAL["sqs"])
    assert (status, code) == (400, IPV)
    assert message.startswith("An event source mapping is not supported")
