"""The protocol of a request whose service is not here."""

import pytest

from lambent.gateway.http import HttpRequest
from lambent.gateway.protocols import Json, RestJson, unparsed
from lambent.gateway.protocols.spoken import spoken_in

FORM = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
TARGET = {"x-amz-target": "DynamoDB_20120810.ListTables", "content-type": "application/x-amz-json-1.0"}
CBOR = {"smithy-protocol": "rpc-v2-cbor", "content-type": "application/cbor"}


@pytest.mark.parametrize(
    ("headers", "query", "signing_name", "protocol"),
    [
        (FORM, "", "sts", unparsed.QUERY),
        (FORM, "", None, unparsed.QUERY),
        (FORM, "", "ec2", unparsed.EC2),
        ({}, "Action=ListUsers&Version=1", "iam", unparsed.QUERY),
        ({}, "Version=1&Action=ListUsers", "iam", unparsed.QUERY),
        (CBOR, "", "monitoring", unparsed.CBOR),
        ({}, "", "s3", unparsed.S3),
        ({}, "", "s3express", unparsed.S3),
        ({}, "", "cloudfront", unparsed.REST_XML),
    ],
)
def test_xml_and_cbor(headers: dict[str, str], query: str, signing_name: str | None, protocol: object) -> None:
    assert spoken_in(HttpRequest("POST", "/", query, headers, b"", ""), signing_name) is protocol


@pytest.mark.parametrize(
    ("headers", "query", "signing_name", "protocol"),
    [
        (TARGET, "", "dynamodb", Json),
        ({}, "", "apigateway", RestJson),
        ({}, "lastAction=x", "scheduler", RestJson),
        ({}, "", "nonsense", RestJson),
        ({}, "", None, RestJson),
    ],
)
def test_json(headers: dict[str, str], query: str, signing_name: str | None, protocol: type) -> None:
    assert isinstance(spoken_in(HttpRequest("GET", "/", query, headers, b"", ""), signing_name), protocol)
