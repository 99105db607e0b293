"""Services that Lambent does not have say so in the protocol that their clients read."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambent.aws.models import metadata, signed_as
from lambent.gateway.app import Gateway
from lambent.testing.served import exchange, http_client, served

CALLS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("sts", "query", "get_caller_identity", {}),
    ("iam", "query", "list_roles", {}),
    ("s3", "rest-xml", "list_buckets", {}),
    ("s3", "rest-xml", "put_object", {"Bucket": "photographs", "Key": "a", "Body": b"x"}),
    ("route53", "rest-xml", "list_hosted_zones", {}),
    ("sqs", "json", "list_queues", {}),
    ("dynamodb", "json", "list_tables", {}),
    ("cloudwatch", "smithy-rpc-v2-cbor", "list_metrics", {}),
    ("apigateway", "rest-json", "get_rest_apis", {}),
    ("iot-data", "rest-json", "list_retained_messages", {}),
]


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async with served(Gateway({}).public()) as port:
        yield port


@pytest.mark.parametrize(("service", "protocol", "operation", "parameters"), CALLS)
async def test_boto3_raises_not_implemented_and_names_the_service(
    port: int, service: str, protocol: str, operation: str, parameters: dict[str, Any]
) -> None:
    assert metadata(service)["protocol"] == protocol
    client = http_client(service, port)
    with pytest.raises(ClientError) as raised:
        await asyncio.to_thread(getattr(client, operation), **parameters)
    assert raised.value.response["Error"]["Code"] == "NotImplementedException"
    assert raised.value.response["Error"]["Message"].startswith(f"The service {service} is not built in Lambent yet.")
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert raised.value.response["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"]


async def test_ec2_has_a_form_of_its_own(port: int) -> None:
    body = b"Action=DescribeInstances&Version=2016-11-15"
    head = (
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded; charset=utf-8\r\n"
        b"Authorization: AWS4-HMAC-SHA256 Credential=AKID/20261120/us-east-1/ec2/aws4_request, Signature=00\r\n"
        b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
    )
    reply = await exchange(port, head + body)
    assert reply.startswith(b"HTTP/1.1 501")
    assert b"<Response><Errors><Error><Code>NotImplementedException</Code><Message>The service ec2 is not" in reply


async def test_a_refusal_before_the_service_is_known_is_xml_for_a_form(port: int) -> None:
    body = b"Action=ListDomains"
    head = (
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
    )
    reply = await exchange(port, head + body)
    assert reply.startswith(b"HTTP/1.1 403")
    assert b"<Error><Type>Sender</Type><Code>MissingAuthenticationTokenException</Code>" in reply


async def test_a_name_that_aws_does_not_know_is_no_service(port: int) -> None:
    head = (
        b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        b"Authorization: AWS4-HMAC-SHA256 Credential=A/20261120/us-east-1/nonsense/aws4_request, Signature=00\r\n\r\n"
    )
    reply = await exchange(port, head)
    assert reply.startswith(b"HTTP/1.1 404")
    assert b"No service is called 'nonsense'" in reply


@pytest.mark.parametrize(
    ("signing_name", "services"),
    [("monitoring", ("cloudwatch",)), ("elasticloadbalancing", ("elb", "elbv2")), ("nonsense", ()), ("../lambda", ())],
)
def test_services_are_found_by_the_name_they_sign_with(signing_name: str, services: tuple[str, ...]) -> None:
    assert signed_as(signing_name) == services
