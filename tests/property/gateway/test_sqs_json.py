"""The short way of SQS through JSON gives what the long way gives, and old SDKs are understood as new ones are."""

import base64
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from botocore import parsers, serialize
from hypothesis import given
from hypothesis import strategies as st

from lambent.aws.errors import ApiError
from lambent.aws.models import service_model
from lambent.aws.shapes import OperationModel
from lambent.gateway.foreign import of_botocore
from lambent.gateway.http import HttpRequest
from lambent.gateway.protocols import WireProtocol
from lambent.gateway.protocols.json import Json
from lambent.gateway.protocols.json_body import document_of
from lambent.gateway.quirks.sqs import SqsJson
from lambent.gateway.quirks.sqs_query import SqsQuery, query_model
from tests.property.gateway.shape_values import SECONDS, structure

MODEL = service_model("sqs")
OPERATIONS = [MODEL.operation_model(name) for name in MODEL.operation_names]
WITH_OUTPUT = [operation for operation in OPERATIONS if operation.output_shape is not None]
LONG, SHORT = Json("1.0"), SqsJson()
SERIALISER = serialize.create_serializer("query", include_validation=False)


def parsed(protocol: WireProtocol, operation: OperationModel, body: bytes) -> Any:
    try:
        return protocol.parse(operation, HttpRequest("POST", "/", "", {}, body, ""), {})
    except ApiError as error:
        return error.code, error.message


@given(st.data())
def test_parameters_are_parsed_as_by_the_model(data: st.DataObject) -> None:
    operation = data.draw(st.sampled_from(OPERATIONS))
    parameters = data.draw(structure(operation.input_shape, SECONDS))
    body = orjson.dumps(document_of(parameters, operation.input_shape))
    assert parsed(SHORT, operation, body) == parsed(LONG, operation, body) == parameters


JSON = st.recursive(
    st.one_of(st.none(), st.just("x"), st.just("AAE=")),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=6,
)


@given(st.data())
def test_wrong_types_are_refused_as_by_the_model(data: st.DataObject) -> None:
    operation = data.draw(st.sampled_from(OPERATIONS))
    name = data.draw(st.sampled_from(sorted(operation.input_shape.members)))
    body = orjson.dumps({name: data.draw(JSON)})
    assert parsed(SHORT, operation, body) == _without_null(parsed(LONG, operation, body))


def _without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_null(item) for name, item in value.items() if item is not None}
    return [_without_null(item) for item in value if item is not None] if isinstance(value, list) else value


def without_empty(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value not in ([], {})}


@given(st.data())
def test_results_are_written_as_by_the_model_but_for_what_is_empty(data: st.DataObject) -> None:
    operation = data.draw(st.sampled_from(WITH_OUTPUT))
    result = data.draw(structure(operation.output_shape, SECONDS))
    long, short = LONG.serialise(operation, result), SHORT.serialise(operation, result)
    assert isinstance(long.body, bytes)
    assert isinstance(short.body, bytes)
    assert orjson.loads(short.body) == without_empty(orjson.loads(long.body))
    assert short.headers == long.headers


@pytest.mark.parametrize("name", MODEL.operation_names)
@given(data=st.data())
def test_a_form_of_botocore_becomes_the_same_parameters(name: str, data: st.DataObject) -> None:
    """Its query serialiser, with the names of the model that botocore had until 2023."""
    operation = query_model().operation_model(name)
    # A form cannot tell an empty list or map from none, at any depth.
    parameters = _full(data.draw(structure(operation.input_shape, SECONDS)))
    form = SERIALISER.serialize_to_request(parameters, of_botocore(operation))["body"]
    found = parsed(SqsQuery(), operation, urlencode(form).encode())
    assert _full(found) == parameters


@pytest.mark.parametrize("name", [operation.name for operation in WITH_OUTPUT])
@given(data=st.data())
def test_botocore_reads_the_xml_of_a_result(name: str, data: st.DataObject) -> None:
    operation = query_model().operation_model(name)
    result = _sayable(_full(data.draw(structure(operation.output_shape, SECONDS))))
    response = SqsQuery().serialise(operation, result, "id")
    answer = {"status_code": 200, "headers": {}, "body": response.body}
    read = parsers.create_parser("query").parse(answer, of_botocore(operation).output_shape)
    del read["ResponseMetadata"]
    assert _full(read) == result


def _full(value: Any) -> Any:
    if isinstance(value, dict):
        found = {name: _full(item) for name, item in value.items()}
        return {name: item for name, item in found.items() if item not in ({}, [])}
    if isinstance(value, list):
        return [item for item in map(_full, value) if item not in ({}, [])]
    return value


def _sayable(value: Any) -> Any:
    """What XML can say: base64 stands for all text here, which has no character that is replaced."""
    if isinstance(value, dict):
        return {_sayable(name) if name not in _NAMES else name: _sayable(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_sayable(item) for item in value]
    return base64.b64encode(value.encode()).decode() + '"\r\n<' if isinstance(value, str) else value


_NAMES = {name for shape in MODEL.shape_names for name in getattr(MODEL.shape_for(shape), "members", ())}


PARTS = st.sampled_from(
    ["Attribute", "Name", "Value", "1", "2", "0", "", "Tag", "Key", "MessageAttributes", "DataType", "BinaryValue",
     "SendMessageBatchRequestEntry", "Id", "MessageBody", "QueueUrl", "AttributeName", "DelaySeconds", "x", "9" * 11]
)  # fmt: skip
FIELDS = st.lists(
    st.tuples(st.lists(PARTS, max_size=5).map(".".join), st.sampled_from(["", "1", "x", "AAE=", "\u00e9"])), max_size=6
)


@given(operation=st.sampled_from(OPERATIONS), fields=FIELDS)
def test_any_form_is_read_or_refused(operation: OperationModel, fields: list[tuple[str, str]]) -> None:
    described = query_model().operation_model(operation.name)
    found = parsed(SqsQuery(), described, urlencode(fields).encode())
    assert isinstance(found, dict) or found[0] == "SerializationException"
