"""botocore is the oracle: what it serialises we parse, and what we serialise it parses, for every operation."""

import io
from collections.abc import Mapping
from typing import Any

import pytest
from botocore.awsrequest import create_request_object, prepare_request_dict
from botocore.compat import HTTPHeaders
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lambent.aws.errors import ApiError
from lambent.aws.models import service_model
from lambent.aws.shapes import OperationModel, ServiceModel, StructureShape
from lambent.aws.validation import failures
from lambent.gateway.foreign import of_botocore, service_of_botocore
from lambent.gateway.http import HttpRequest, HttpResponse
from lambent.gateway.protocols import protocol_of
from lambent.gateway.protocols.query import fields_of, xml_text
from lambent.gateway.route import router_of
from tests.property.gateway.shape_values import MILLISECONDS, SECONDS, structure

SERVICES = ("lambda", "logs", "sts")
MODELS = {name: service_model(name) for name in SERVICES}
ROUTERS = {name: router_of(model) for name, model in MODELS.items()}
OPERATIONS = [(name, operation) for name, model in MODELS.items() for operation in model.operation_names]
# Event streams are not built yet: these operations answer 501.
WITHOUT_STREAMS = [
    (name, operation)
    for name, operation in OPERATIONS
    if not MODELS[name].operation_model(operation).has_event_stream_output
]
ERRORS = [(name, shape.name) for name, model in MODELS.items() for shape in model.error_shapes]
FEW = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), database=None)


def operation_of(service: str, name: str) -> OperationModel:
    return MODELS[service].operation_model(name)


def as_request(serialised: Mapping[str, Any]) -> HttpRequest:
    """What botocore's serialiser gives, put on the wire by botocore's own rules."""
    document = dict(serialised)
    prepare_request_dict(document, "http://localhost:4566")
    prepared = create_request_object(document).prepare()
    path, _, query = prepared.url.removeprefix("http://localhost:4566").partition("?")
    headers = {
        name.lower(): text.decode() if isinstance(text, bytes) else text for name, text in prepared.headers.items()
    }
    body = prepared.body or b""
    return HttpRequest(prepared.method, path, query, headers, body.encode() if isinstance(body, str) else body, "")


@pytest.mark.parametrize(("service", "name"), OPERATIONS)
def test_what_botocore_sends_is_routed_and_parsed_unchanged(service: str, name: str) -> None:
    model, operation = MODELS[service], operation_of(service, name)
    serialiser = create_serializer(model.metadata["protocol"], include_validation=False)
    shape = operation.input_shape
    values = st.just({}) if shape is None else structure(shape, SECONDS)

    @FEW
    @given(parameters=values)
    def unchanged(parameters: dict[str, Any]) -> None:
        request = as_request(serialiser.serialize_to_request(parameters, of_botocore(operation)))
        named = fields_of(request).get("Action") if model.metadata["protocol"] == "query" else None
        target = named or request.headers.get("x-amz-target")
        match = ROUTERS[service].match(request.method, request.path, request.query, target)
        assert match.operation.name == name
        parsed = protocol_of(model).parse(match.operation, request, match.labels)
        assert parsed == (carried(parameters) or {} if named else parameters)
        if parsed == parameters:
            assert failures(shape, parsed) == []

    unchanged()


@pytest.mark.parametrize(("service", "name"), WITHOUT_STREAMS)
def test_what_we_answer_is_parsed_by_botocore_unchanged(service: str, name: str) -> None:
    model, operation = MODELS[service], operation_of(service, name)
    parser = create_parser(model.metadata["protocol"])
    shape = operation.output_shape
    values = st.just({}) if shape is None else structure(shape, MILLISECONDS)

    @FEW
    @given(result=values)
    def unchanged(result: dict[str, Any]) -> None:
        result = with_possible_status(shape, result)
        response = protocol_of(model).serialise(operation, result)
        parsed = parser.parse(
            as_response(response, streaming=operation.has_streaming_output), of_botocore(operation).output_shape
        )
        parsed = {key: item.read() if isinstance(item, io.BytesIO) else item for key, item in parsed.items()}
        metadata = parsed.pop("ResponseMetadata")
        assert metadata["HTTPStatusCode"] == response.status
        assert parsed == said(model, expected(shape, result, response))

    unchanged()


@pytest.mark.parametrize(("service", "name"), ERRORS)
def test_every_modelled_error_is_the_same_error_in_botocore(service: str, name: str) -> None:
    model = MODELS[service]
    parser = create_parser(model.metadata["protocol"])
    shape = model.shape_for(name)

    @FEW
    @given(message=st.text(st.characters(codec="utf-8"), max_size=40), members=members_of(shape))
    def same(message: str, members: dict[str, Any]) -> None:
        response = protocol_of(model).serialise_error(model, ApiError(name, message, members=members))
        error = parser.parse(as_response(response), None)["Error"]
        assert (error["Code"], error["Message"] or "") == (shape.error_code, said(model, message))
        assert response.status == shape.metadata.get("error", {}).get("httpStatusCode", response.status)
        parsed = parser.parse(as_response(response), service_of_botocore(model).shape_for(name))
        assert {key: parsed[key] for key in members} == said(model, members)

    same()


def carried(value: Any) -> Any:
    """What a form can say of it: a structure without members, alone or in a list, has no fields. None for nothing."""
    if isinstance(value, dict):
        return {name: found for name, item in value.items() if (found := carried(item)) is not None} or None
    if isinstance(value, list) and value:
        return [found for item in value if (found := carried(item)) is not None] or None
    return value


def said(model: ServiceModel, value: Any) -> Any:
    """`value` as far as the protocol can say it: XML has no control characters."""
    if model.metadata["protocol"] != "query":
        return value
    if isinstance(value, dict):
        return {name: said(model, item) for name, item in value.items()}
    if isinstance(value, list):
        return [said(model, item) for item in value]
    return xml_text(value) if isinstance(value, str) else value


def members_of(shape: StructureShape) -> st.SearchStrategy[Any]:
    values = structure(shape, MILLISECONDS)
    return values.map(lambda found: {k: v for k, v in found.items() if k.lower() not in ("message", "type")})


def as_response(response: HttpResponse, *, streaming: bool = False) -> dict[str, Any]:
    content = response.body
    assert isinstance(content, bytes)
    headers = HTTPHeaders()
    for name, text in response.headers:
        headers[name] = text
    return {"status_code": response.status, "headers": headers, "body": io.BytesIO(content) if streaming else content}


def with_possible_status(shape: StructureShape | None, result: dict[str, Any]) -> dict[str, Any]:
    places = {} if shape is None else {n: m.serialization.get("location") for n, m in shape.members.items()}
    return {name: 202 if places[name] == "statusCode" else item for name, item in result.items()}


def expected(shape: StructureShape | None, result: dict[str, Any], response: HttpResponse) -> dict[str, Any]:
    """botocore always gives the status, and an absent payload as no bytes."""
    found = dict(result)
    if shape is None:
        return found
    for name, member in shape.members.items():
        if member.serialization.get("location") == "statusCode":
            found[name] = response.status
        elif name == shape.serialization.get("payload") and member.type_name == "blob":
            found.setdefault(name, b"")
    return found
