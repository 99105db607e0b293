"""What AWS refuses before an operation runs, as boto3 sees it."""

from typing import Any

import orjson
import pytest
from botocore.exceptions import ClientError

from lambent.aws.errors import ApiError
from lambent.aws.service import CallContext, Operations, Parameters, Result, Service
from lambent.gateway.app import Gateway
from lambent.testing.aws_client import aws_client
from lambent.testing.served import exchange, served

ROLE = "arn:aws:iam::123456789012:role/r"


async def nothing(context: CallContext, parameters: Parameters) -> Result:
    return {}


OPERATIONS: Operations = dict.fromkeys(
    ("CreateFunction", "DeleteFunction", "UpdateFunctionConfiguration", "ListFunctions", "Invoke", "UntagResource"),
    nothing,
)


async def refused(operation: str, **parameters: Any) -> dict[str, Any]:
    async with aws_client("lambda", OPERATIONS) as client:
        with pytest.raises(ClientError) as raised:
            await getattr(client, operation)(**parameters)
    response: dict[str, Any] = raised.value.response
    return response


async def test_a_failed_constraint_is_a_validation_exception_without_a_type() -> None:
    response = await refused("list_functions", FunctionVersion="x")
    assert response["Error"] == {
        "Code": "ValidationException",
        "Message": "1 validation error detected: Value 'x' at 'functionVersion' failed to satisfy constraint: "
        "Member must satisfy enum value set: [ALL]",
    }
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert "Type" not in response


async def test_a_bad_bare_name_of_a_new_function_is_an_invalid_parameter() -> None:
    """As AWS was seen to answer."""
    response = await refused("create_function", FunctionName="a b", Role=ROLE, Code={"ZipFile": b"x"})
    assert response["Error"]["Code"] == "InvalidParameterValueException"
    assert response["Error"]["Message"].startswith("1 validation error detected: Value 'a b' at 'functionName' failed")


async def test_a_bad_arn_of_a_new_function_is_a_validation_exception() -> None:
    """As AWS was seen to answer."""
    arn = "arn:aws:lambda:us-east-1:123456789012:function:a b"
    response = await refused("create_function", FunctionName=arn, Role=ROLE, Code={"ZipFile": b"x"})
    assert response["Error"]["Code"] == "ValidationException"


async def test_a_bare_name_has_64_characters_at_most() -> None:
    """64 for a name only, 140 for an ARN."""
    response = await refused("create_function", FunctionName="a" * 65, Role=ROLE, Code={"ZipFile": b"x"})
    assert response["Error"] == {
        "Code": "InvalidParameterValueException",
        "Message": f"1 validation error detected: Value '{'a' * 65}' at 'functionName' failed to satisfy constraint: "
        "Member must have length less than or equal to 64",
    }


async def test_delete_function_reports_the_pattern_first() -> None:
    response = await refused("delete_function", FunctionName="a b" * 100)
    assert response["Error"]["Message"].startswith("1 validation error detected")
    assert "regular expression pattern" in response["Error"]["Message"]


async def test_an_unknown_runtime_has_its_own_words() -> None:
    """As AWS was seen to answer."""
    response = await refused("create_function", FunctionName="f", Role=ROLE, Code={"ZipFile": b"x"}, Runtime="cobol85")
    assert response["Error"]["Code"] == "InvalidParameterValueException"
    message = response["Error"]["Message"]
    assert message.startswith("Value cobol85 at 'runtime' failed to satisfy constraint: Member must satisfy enum value")
    assert message.endswith("] or be a valid ARN")


async def test_missing_tag_keys_are_null() -> None:
    """As AWS was seen to answer."""
    response = await refused("untag_resource", Resource="arn:aws:lambda:us-east-1:123456789012:function:f", TagKeys=[])
    assert "Value null at 'tagKeys' failed to satisfy constraint: Member must not be null" in str(response["Error"])


async def test_logs_refuses_with_its_own_code() -> None:
    async with aws_client("logs", {"CreateLogGroup": nothing}) as client:
        with pytest.raises(client.client.exceptions.InvalidParameterException, match="at 'logGroupName' failed to sat"):
            await client.create_log_group(logGroupName="a b")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"FunctionName": 5}', "NUMBER_VALUE can not be converted to a String"),
        (b'{"Timeout": "3"}', "STRING_VALUE can not be converted to an Integer"),
        (b'{"Publish": "true"}', "STRING_VALUE can not be converted to a Boolean"),
        (b'{"Environment": []}', "Start of list found where not expected"),
        (b'{"FunctionName": {}}', "Start of structure or map found where not expected."),
        (b'{"Layers": "x"}', "Unexpected field type"),
        (b"[]", "Start of list found where not expected"),
        (b"{", "Could not parse request body into json"),
    ],
)
async def test_wrong_json_is_a_serialization_exception(body: bytes, text: str) -> None:
    async with served(Gateway({"lambda": Service("lambda", OPERATIONS)}).public()) as port:
        head = (
            b"POST /2015-03-31/functions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n"
            b"Authorization: AWS4-HMAC-SHA256 Credential=k/20261120/us-east-1/lambda/aws4_request, SignedHeaders=host, "
            b"Signature=0\r\n\r\n" % len(body)
        )
        head, _, reply = (await exchange(port, head + body)).partition(b"\r\n\r\n")
    assert b" 400 " in head
    assert b"x-amzn-ErrorType: SerializationException" in head
    document = orjson.loads(reply)
    assert list(document) == ["message"]
    assert document["message"].startswith(text)


async def test_unknown_members_are_skipped() -> None:
    seen: list[Parameters] = []

    async def update(context: CallContext, parameters: Parameters) -> Result:
        seen.append(parameters)
        return {}

    service = Service("lambda", {"UpdateFunctionConfiguration": update})
    async with served(Gateway({"lambda": service}).public()) as port:
        body = b'{"Timeout": 5, "Novelty": {"x": 1}, "Handler": null}'
        head = (
            b"PUT /2015-03-31/functions/f/configuration HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n"
            b"Authorization: AWS4-HMAC-SHA256 Credential=k/20261120/us-east-1/lambda/aws4_request, SignedHeaders=host, "
            b"Signature=0\r\n\r\n" % len(body)
        )
        assert b" 200 " in await exchange(port, head + body)
    assert seen == [{"FunctionName": "f", "Timeout": 5}]


async def failing(error: ApiError) -> dict[str, Any]:
    async def handler(context: CallContext, parameters: Parameters) -> Result:
        raise error

    async with aws_client("lambda", {"Invoke": handler}) as client:
        with pytest.raises(ClientError) as raised:
            await client.invoke(FunctionName="f")
    response: dict[str, Any] = raised.value.response
    return response


async def test_a_throttle_carries_its_reason_type_and_time_to_wait() -> None:
    error = ApiError(
        "TooManyRequestsException", "Rate Exceeded.", members={"Reason": "ConcurrentInvocationLimitExceeded"}
    )
    response = await failing(error)
    assert response["Error"] == {"Code": "TooManyRequestsException", "Message": "Rate Exceeded."}
    assert (response["Reason"], response["Type"]) == ("ConcurrentInvocationLimitExceeded", "User")
    assert response["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "1"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 429


async def test_the_casing_of_message_follows_the_error() -> None:
    assert "Message" in await failing(ApiError("ResourceNotFoundException", "x"))
    assert "message" in await failing(ApiError("InvalidParameterValueException", "x"))


async def test_a_fault_of_the_service_has_the_type_service() -> None:
    response = await failing(ApiError("ServiceException", "x"))
    assert (response["Type"], response["ResponseMetadata"]["HTTPStatusCode"]) == ("Service", 500)
