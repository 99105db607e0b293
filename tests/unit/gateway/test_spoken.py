"""The protocol of a request whose service is not here."""

import pytest

from lambent.gateway.http import HttpRequest
from lambent.gateway.protocols import Json, Query, RestJson, unparsed
from lambent.gateway.protocols.spoken import spoken_in

FORM = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
TARGET = {"x-amz-target": "DynamoDB_20120810.ListTables", "content-type": "application/x-amz-json-1.0"}
CBOR = {"smithy-protocol": "rpc-v2-cbor", "content-type": "application/cbor"}


@pytest.mark.parametrize(
    ("headers", "query", "signing_name", "protocol"),
    [
        (FORM, "", "ec2", unparsed.EC2),
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
        (FORM, "", "sts", Query),
        (FORM, "", None, Query),
        ({}, "Action=ListUsers&Version=1", "iam", Query),
        ({}, "Version=1&Action=ListUsers", "iam", Query),
        ({}, "", "apigateway", RestJson),
        ({}, "lastAction=x", "scheduler", RestJson),
        ({}, "", "nonsense", RestJson),
        ({}, "", None, RestJson),
    ],
)
def test_json_and_forms(headers: dict[str, str], query: str, signing_name: str | None, protocol: type) -> None:
    assert isinstance(spoken_in(HttpRequest("GET", "/", query, headers, b"", ""), signing_name), protocol)
