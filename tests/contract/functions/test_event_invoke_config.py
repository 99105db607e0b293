"""Put, Update, Get, List and DeleteFunctionEventInvokeConfig: spec 1.10; behaviour 12."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.contract.functions.conftest import ACCOUNT, ARN, Lambda

IPV = "InvalidParameterValueException"
RNF = "ResourceNotFoundException"
QUEUE = f"arn:aws:sqs:us-east-1:{ACCOUNT}:q"
TOPIC = f"arn:aws:sns:us-east-1:{ACCOUNT}:t"
BUS = f"arn:aws:events:us-east-1:{ACCOUNT}:event-bus/b"
BUCKET = "arn:aws:s3:::bucket"
EMPTY: dict[str, Any] = {"OnSuccess": {}, "OnFailure": {}}


def shape(reply: Any) -> dict[str, Any]:
    return {name: value for name, value in reply.items() if name not in ("ResponseMetadata", "LastModified")}


async def test_a_reply_has_a_qualifier_and_both_destinations_always(lambda_: Lambda) -> None:
    await lambda_.created()
    put = await lambda_.put_function_event_invoke_config(FunctionName="f", MaximumRetryAttempts=0)
    expected = {"FunctionArn": ARN + "f:$LATEST", "MaximumRetryAttempts": 0, "DestinationConfig": EMPTY}
    assert shape(put) == expected
    assert abs(put["LastModified"] - datetime.now(UTC)) < timedelta(minutes=1)
    assert shape(await lambda_.get_function_event_invoke_config(FunctionName="f")) == expected
    assert shape(await lambda_.get_function_event_invoke_config(FunctionName=ARN + "f:$LATEST")) == expected
    listed = await lambda_.list_function_event_invoke_configs(FunctionName="f")
    assert [shape(each) for each in listed["FunctionEventInvokeConfigs"]] == [expected]


async def test_put_replaces_and_update_merges(lambda_: Lambda) -> None:
    await lambda_.created()
    await lambda_.put_function_event_invoke_config(
        FunctionName="f", MaximumRetryAttempts=1, DestinationConfig={"OnFailure": {"Destination": QUEUE}}
    )
    updated = await lambda_.update_function_event_invoke_config(FunctionName="f", MaximumEventAgeInSeconds=60)
    assert shape(updated) == {
        "FunctionArn": ARN + "f:$LATEST",
        "MaximumRetryAttempts": 1,
        "MaximumEventAgeInSeconds": 60,
        "DestinationConfig": {"OnSuccess": {}, "OnFailure": {"Destination": QUEUE}},
    }
    replaced = await lambda_.put_function_event_invoke_config(FunctionName="f", MaximumEventAgeInSeconds=21_600)
    assert shape(replaced) == {
        "FunctionArn": ARN + "f:$LATEST",
        "MaximumEventAgeInSeconds": 21_600,
        "DestinationConfig": EMPTY,
    }


async def test_versions_and_aliases_have_their_own(lambda_: Lambda) -> None:
    await lambda_.created(Publish=True)
    await lambda_.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    for number, qualifier in enumerate(("1", "live", "$LATEST")):
        put = await lambda_.put_function_event_invoke_config(
            FunctionName="f", Qualifier=qualifier, MaximumRetryAttempts=number
        )
        assert put["FunctionArn"] == f"{ARN}f:{qualifier}"
    listed = (await lambda_.list_function_event_invoke_configs(FunctionName="f"))["FunctionEventInvokeConfigs"]
    assert [(each["FunctionArn"], each["MaximumRetryAttempts"]) for each in listed] == [
        (ARN + "f:$LATEST", 2),
        (ARN + "f:1", 0),
        (ARN + "f:live", 1),
    ]
    page = await lambda_.list_function_event_invoke_configs(FunctionName="f", MaxItems=2)
    assert len(page["FunctionEventInvokeConfigs"]) == 2
    rest = await lambda_.list_function_event_invoke_configs(FunctionName="f", Marker=page["NextMarker"])
    assert [each["FunctionArn"] for each in rest["FunctionEventInvokeConfigs"]] == [ARN + "f:live"]
    assert "NextMarker" not in rest


async def test_a_deleted_configuration_is_gone(lambda_: Lambda) -> None:
    await lambda_.created()
    await lambda_.put_function_event_invoke_config(FunctionName="f", MaximumRetryAttempts=0)
    deleted = await lambda_.delete_function_event_invoke_config(FunctionName="f")
    assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    missing = (404, RNF, f"The function {ARN}f:$LATEST doesn't have an EventInvokeConfig")
    assert await lambda_.refused("get_function_event_invoke_config", FunctionName="f") == missing
    assert await lambda_.refused("delete_function_event_invoke_config", FunctionName="f") == missing
    refused = await lambda_.refused("update_function_event_invoke_config", FunctionName="f", MaximumRetryAttempts=0)
    assert refused == missing


@pytest.mark.parametrize("operation", ["put", "update"])
async def test_something_has_to_be_said(lambda_: Lambda, operation: str) -> None:
    await lambda_.created()
    assert await lambda_.refused(f"{operation}_function_event_invoke_config", FunctionName="f") == (
        400,
        IPV,
        "You must specify at least one of error handling or destination setting.",
    )


@pytest.mark.parametrize("qualifier", ["$LATEST", "1", "live"])
async def test_what_does_not_exist_has_no_configuration(lambda_: Lambda, qualifier: str) -> None:
    name = "nope"
    if qualifier != "$LATEST":
        await lambda_.created(name)
    gone = (404, RNF, "The function doesn't exist.")
    for operation in ("put", "update"):
        assert gone == await lambda_.refused(
            f"{operation}_function_event_invoke_config",
            FunctionName=name,
            Qualifier=qualifier,
            MaximumRetryAttempts=0,
        )
    assert await lambda_.refused("get_function_event_invoke_config", FunctionName=name, Qualifier=qualifier) == (
        404,
        RNF,
        f"The function {ARN}{name}:{qualifier} doesn't have an EventInvokeConfig",
    )
    if qualifier == "$LATEST":
        assert await lambda_.refused("list_function_event_invoke_configs", FunctionName=name) == gone


@pytest.mark.parametrize("destination", [QUEUE, TOPIC, BUS, ARN + "g", ARN + "g:live"])
async def test_destinations_of_every_kind(lambda_: Lambda, destination: str) -> None:
    await lambda_.created("f")
    await lambda_.created("g")
    both = {"OnSuccess": {"Destination": destination}, "OnFailure": {"Destination": destination}}
    put = await lambda_.put_function_event_invoke_config(FunctionName="f", DestinationConfig=both)
    assert put["DestinationConfig"] == both


async def test_a_bucket_takes_failures_only(lambda_: Lambda) -> None:
    await lambda_.created()
    failures = {"OnFailure": {"Destination": BUCKET}}
    put = await lambda_.put_function_event_invoke_config(FunctionName="f", DestinationConfig=failures)
    assert put["DestinationConfig"] == {"OnSuccess": {}, **failures}
    await refused(lambda_, {"OnSuccess": {"Destination": BUCKET}}, config(BUCKET, None))


async def test_an_empty_destination_clears_it(lambda_: Lambda) -> None:
    await lambda_.created()
    await lambda_.put_function_event_invoke_config(
        FunctionName="f", DestinationConfig={"OnFailure": {"Destination": QUEUE}}
    )
    updated = await lambda_.update_function_event_invoke_config(
        FunctionName="f", DestinationConfig={"OnFailure": {"Destination": ""}}
    )
    assert updated["DestinationConfig"] == EMPTY


def config(success: str | None, failure: str | None) -> str:
    on_success = f"OnSuccess(destination={success})" if success else "null"
    on_failure = f"OnFailure(destination={failure})" if failure else "null"
    return (
        f"The provided destination config DestinationConfig(onSuccess={on_success}, onFailure={on_failure}) is invalid."
    )


async def refused(lambda_: Lambda, destinations: dict[str, Any], message: str) -> None:
    answer = await lambda_.refused("put_function_event_invoke_config", FunctionName="f", DestinationConfig=destinations)
    assert answer == (400, IPV, message)


async def test_destinations_that_cannot_be(lambda_: Lambda) -> None:
    await lambda_.created()
    table = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/t"
    await refused(lambda_, {"OnSuccess": {"Destination": table}}, config(table, None))
    await refused(
        lambda_, {"OnSuccess": {"Destination": QUEUE}, "OnFailure": {"Destination": table}}, config(QUEUE, table)
    )
    await refused(lambda_, {"OnFailure": {"Destination": ARN + "nope"}}, f"The destination ARN {ARN}nope is invalid.")
    for arn in (
        QUEUE + ".fifo",
        "arn:aws:sqs:us-east-1::q",
        f"arn:aws:sns:us-east-1:{ACCOUNT}:",
        ARN,
        ARN.replace("function:", "layer:l:1"),
        f"arn:aws:events:us-east-1:{ACCOUNT}:rule/r",
        "arn:aws:s3:::",
    ):
        await refused(lambda_, {"OnFailure": {"Destination": arn}}, f"The destination ARN {arn} is invalid.")
    await refused(
        lambda_,
        {"OnFailure": {"Destination": ARN + "f:live"}},
        "You can't specify the function as a destination for itself.",
    )
    assert await lambda_.refused("get_function_event_invoke_config", FunctionName="f") == (
        404,
        RNF,
        f"The function {ARN}f:$LATEST doesn't have an EventInvokeConfig",
    )


@pytest.mark.parametrize(
    "parameters",
    [
        {"MaximumRetryAttempts": 3},
        {"MaximumRetryAttempts": -1},
        {"MaximumEventAgeInSeconds": 59},
        {"MaximumEventAgeInSeconds": 21_601},
        {"DestinationConfig": {"OnFailure": {"Destination": "no arn"}}},
    ],
    ids=str,
)
async def test_members_out_of_range_are_refused_by_the_model(lambda_: Lambda, parameters: dict[str, Any]) -> None:
    await lambda_.created()
    status, code, _ = await lambda_.refused("put_function_event_invoke_config", FunctionName="f", **parameters)
    assert (status, code) == (400, "ValidationException")


async def test_a_deleted_function_takes_its_configurations_with_it(lambda_: Lambda) -> None:
    await lambda_.created()
    await lambda_.put_function_event_invoke_config(FunctionName="f", MaximumRetryAttempts=0)
    await lambda_.delete_function(FunctionName="f")
    await lambda_.created()
    assert (await lambda_.list_function_event_invoke_configs(FunctionName="f"))["FunctionEventInvokeConfigs"] == []
