"""boto3 through the whole gateway to a handler and back."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambent.aws.errors import ApiError
from lambent.aws.service import CallContext, Parameters, Result
from lambent.testing.aws_client import aws_client

Seen = list[tuple[CallContext, Parameters]]


def recorder(reply: Result | Exception) -> tuple[Seen, Any]:
    seen: Seen = []

    async def handler(context: CallContext, parameters: Parameters) -> Result:
        seen.append((context, parameters))
        if isinstance(reply, Exception):
            raise reply
        return reply

    return seen, handler


async def test_a_handler_gets_what_boto3_was_given_and_boto3_gets_what_it_returns() -> None:
    seen, handler = recorder({"FunctionName": "hello", "Timeout": 3})
    async with aws_client("lambda", {"CreateFunction": handler}) as client:
        reply = await client.create_function(
            FunctionName="hello", Role="arn:aws:iam::123456789012:role/r", Code={"ZipFile": b"\x00zip"}, Tags={"a": "b"}
        )
    context, parameters = seen[0]
    assert parameters == {
        "FunctionName": "hello",
        "Role": "arn:aws:iam::123456789012:role/r",
        "Code": {"ZipFile": b"\x00zip"},
        "Tags": {"a": "b"},
    }
    assert (context.account, context.region, context.base_url) == ("123456789012", "us-east-1", "http://localhost:4566")
    assert reply["FunctionName"] == "hello"
    assert reply["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert reply["ResponseMetadata"]["RequestId"] == context.request_id


async def test_an_arn_in_the_path_arrives_whole() -> None:
    seen, handler = recorder({})
    arn = "arn:aws:lambda:us-east-1:123456789012:function:hello:$LATEST"
    async with aws_client("lambda", {"GetFunction": handler}) as client:
        await client.get_function(FunctionName=arn)
    assert seen[0][1] == {"FunctionName": arn}


async def test_invoke_carries_bytes_both_ways() -> None:
    seen, handler = recorder({"StatusCode": 200, "Payload": b'{"x":1}', "ExecutedVersion": "$LATEST"})
    async with aws_client("lambda", {"Invoke": handler}) as client:
        reply = await client.invoke(FunctionName="hello", Payload=b'{"a": 1}', LogType="Tail")
    assert seen[0][1] == {"FunctionName": "hello", "LogType": "Tail", "Payload": b'{"a": 1}'}
    assert reply["Payload"].read() == b'{"x":1}'
    assert (reply["StatusCode"], reply["ExecutedVersion"]) == (200, "$LATEST")


async def test_a_modelled_error_is_an_exception_of_its_own_in_boto3() -> None:
    _, handler = recorder(ApiError("ResourceNotFoundException", "Function not found: x"))
    async with aws_client("lambda", {"GetFunction": handler}) as client:
        with pytest.raises(client.client.exceptions.ResourceNotFoundException) as raised:
            await client.get_function(FunctionName="x")
    assert raised.value.response["Error"] == {"Message": "Function not found: x", "Code": "ResourceNotFoundException"}
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


async def test_the_json_protocol_finds_its_operation_by_target() -> None:
    seen, handler = recorder({"logGroups": [{"logGroupName": "/aws/lambda/x", "creationTime": 1}]})
    async with aws_client("logs", {"DescribeLogGroups": handler}) as client:
        reply = await client.describe_log_groups(logGroupNamePrefix="/aws", limit=5)
    assert seen[0][1] == {"logGroupNamePrefix": "/aws", "limit": 5}
    assert reply["logGroups"][0]["logGroupName"] == "/aws/lambda/x"


async def test_an_operation_that_is_not_built_says_so_by_name() -> None:
    async with aws_client("lambda", {"GetFunction": recorder({})[1]}) as client:
        with pytest.raises(ClientError, match="The operation ListLayers is not built") as raised:
            await client.list_layers()
    assert raised.value.response["Error"]["Code"] == "NotImplementedException"
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


async def test_a_bug_in_a_handler_is_a_service_exception_and_tells_nothing_of_itself() -> None:
    _, handler = recorder(RuntimeError("secret"))
    async with aws_client("lambda", {"GetFunction": handler}) as client:
        with pytest.raises(client.client.exceptions.ServiceException) as raised:
            await client.get_function(FunctionName="x")
    assert "secret" not in str(raised.value)
