"""botocore is the oracle for S3 too: what it serialises we parse, and what we serialise it parses."""

import io
from datetime import datetime
from typing import Any

import pytest
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lambent.aws.errors import ApiError
from lambent.aws.models import service_model
from lambent.aws.shapes import ListShape, OperationModel, Shape, StructureShape
from lambent.gateway.foreign import of_botocore
from lambent.gateway.protocols import protocol_of, xml_body
from lambent.gateway.protocols.shapes import bindings
from lambent.gateway.quirks.s3 import metadata_from_header, metadata_to_header
from lambent.gateway.s3.addressing import address_of
from lambent.gateway.s3.routes import S3Routes
from tests.property.gateway.shape_values import HEADER_TEXT, SECONDS, structure
from tests.property.gateway.test_protocols import as_request, as_response, expected

MODEL = service_model("s3")
ROUTES = S3Routes(MODEL)
PROTOCOL = protocol_of(MODEL)
SERIALISER = create_serializer("rest-xml", include_validation=False)
PARSER = create_parser("rest-xml")
NOT_HERE = {"ListDirectoryBuckets", "WriteGetObjectResponse"}
OPERATIONS = [
    name for name in MODEL.operation_names if name not in NOT_HERE and not MODEL.operation_model(name).deprecated
]
WITH_OUTPUT = [
    name
    for name in OPERATIONS
    if MODEL.operation_model(name).output_shape is not None
    and not MODEL.operation_model(name).has_event_stream_output
    # Its whole body is one bare element, which a client of AWS reads by a rule of its own.
    and name != "GetBucketLocation"
]
FEW = settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck), database=None)
BUCKETS = st.from_regex(r"[a-z0-9][a-z0-9-]{1,20}[a-z0-9]", fullmatch=True)
KEYS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
METADATA = st.dictionaries(st.from_regex(r"[a-z0-9_-]{1,10}", fullmatch=True), HEADER_TEXT, min_size=1, max_size=3)


def operation_of(name: str) -> OperationModel:
    return MODEL.operation_model(name)


def sayable(shape: Shape | None, value: Any, top: bool = True) -> Any:
    """`value` as XML and headers can carry it: no control characters, and nothing for an empty flattened list."""
    if isinstance(shape, StructureShape):
        found = {}
        for name, item in value.items():
            member = shape.members[name]
            said = sayable(member, item, False)
            if said is not None and not (isinstance(member, ListShape) and said == [] and _vanishes(member, top)):
                found[name] = said
        return found
    if isinstance(shape, ListShape):
        return [sayable(shape.member, item, False) for item in value]
    if isinstance(value, str):
        return "".join(char for char in value if char.isprintable())
    return value.replace(microsecond=0) if isinstance(value, datetime) else value


def _vanishes(shape: ListShape, top: bool) -> bool:
    return bool(shape.serialization.get("flattened")) or shape.serialization.get("location") in ("header",)


def values_of(shape: StructureShape) -> st.SearchStrategy[dict[str, Any]]:
    places = bindings(shape)
    fixed: dict[str, Any] = {}
    for name in shape.members:
        if name in places.header_prefix:
            fixed[name] = METADATA
        elif places.wire_names[name] == "Bucket" and name in places.uri:
            fixed[name] = BUCKETS
        elif name in places.uri:
            fixed[name] = KEYS
    whole = structure(shape, SECONDS)
    return st.builds(
        lambda found, own: {**sayable(shape, found), **{name: own[name] for name in own if name in found}},
        whole,
        st.fixed_dictionaries(fixed),
    )


@pytest.mark.parametrize("name", OPERATIONS)
def test_what_botocore_sends_to_s3_is_routed_and_parsed_unchanged(name: str) -> None:
    operation = operation_of(name)
    shape = operation.input_shape

    @FEW
    @given(parameters=st.just({}) if shape is None else values_of(shape))
    def unchanged(parameters: dict[str, Any]) -> None:
        for member in [] if shape is None else shape.members:
            # Lists in headers: botocore joins them with commas, so one may not hold any.
            if isinstance(parameters.get(member), list) and member in bindings(shape).header:
                parameters[member] = [text.replace(",", "") or "x" for text in parameters[member]] or ["x"]
        request = as_request(SERIALISER.serialize_to_request(parameters, of_botocore(operation)))
        address = address_of("localhost", request.path)
        match = ROUTES.match(request.method, address, request.query, request.headers)
        assert match.operation.name == name
        parsed = PROTOCOL.parse(match.operation, request, match.labels)
        assert without_length(parsed) == without_length(parameters)

    unchanged()


def without_length(parameters: dict[str, Any]) -> dict[str, Any]:
    """botocore says the length of every body."""
    kept = {name: value for name, value in parameters.items() if name not in ("ContentLength", "ContentType")}
    return {name: value for name, value in kept.items() if value not in (b"", "", {})}


@pytest.mark.parametrize("name", WITH_OUTPUT)
def test_what_s3_answers_is_parsed_by_botocore_unchanged(name: str) -> None:
    operation = operation_of(name)
    shape = operation.output_shape

    @FEW
    @given(result=values_of(shape))
    def unchanged(result: dict[str, Any]) -> None:
        response = PROTOCOL.serialise(operation, result)
        if operation.http["method"] == "HEAD":
            assert response.body == b""
        parsed = PARSER.parse(
            as_response(response, streaming=operation.has_streaming_output), of_botocore(operation).output_shape
        )
        parsed = {key: item.read() if isinstance(item, io.BytesIO) else item for key, item in parsed.items()}
        assert parsed.pop("ResponseMetadata")["HTTPStatusCode"] == response.status
        wanted = expected(shape, result, response)
        assert {key: value for key, value in parsed.items() if key in wanted or value} == wanted

    unchanged()


@pytest.mark.parametrize("name", [shape.name for shape in MODEL.error_shapes])
def test_every_modelled_error_of_s3_is_the_same_error_in_botocore(name: str) -> None:
    shape = MODEL.shape_for(name)
    response = PROTOCOL.serialise_error(MODEL, ApiError(name, "a <b> & c"))
    error = PARSER.parse(as_response(response), None)["Error"]
    assert (error["Code"], error["Message"]) == (name, "a <b> & c")
    assert response.status == shape.metadata["error"]["httpStatusCode"]
    assert b"xmlns" not in bytes(response.body)  # type: ignore[arg-type]


@FEW
@given(text=st.text(max_size=30).filter(lambda text: text.isprintable()))
@example(text="=?UTF-8?B?YWJj?=")
@example(text="h\u00f6lle \u6f22")
def test_metadata_survives_its_header(text: str) -> None:
    said = metadata_to_header(text)
    assert said.isascii()
    assert metadata_from_header(said) == (text if not text.startswith("=?") else "abc")


def test_metadata_in_bytes_of_utf_8_or_in_words_of_mail_is_what_it_says() -> None:
    assert metadata_from_header("h\u00f6lle".encode().decode("latin-1")) == "h\u00f6lle"
    assert metadata_from_header("=?UTF-8?B?YWJj?=") == "abc"
    assert metadata_from_header("=?UTF-8?Q?h=C3=B6lle?=") == "h\u00f6lle"
    assert metadata_from_header("=?no-such?B?YWJj?=") == "=?no-such?B?YWJj?="


@settings(max_examples=300, deadline=None, database=None)
@given(document=st.one_of(st.binary(max_size=80), st.text("<>/abA\"'=&;!?[] \n", max_size=60).map(str.encode)))
@example(document=b"<!DOCTYPE a [<!ENTITY b 'c'>]><Tagging>&b;</Tagging>")
@example(document=b"<a>" * 100)
@example(document=b"")
def test_whatever_comes_as_xml_is_read_or_malformed(document: bytes) -> None:
    shape = MODEL.shape_for("Tagging")
    try:
        xml_body.structure_of(shape, xml_body.read(document))
    except (xml_body.Malformed, ApiError):
        return


def test_namespaces_and_their_absence_are_all_one() -> None:
    shape = MODEL.shape_for("Tagging")
    documents = (
        "<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>",
        '<Tagging xmlns="http://a/"><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>',
        '<s:Tagging xmlns:s="u"><s:TagSet><s:Tag><s:Key>k</s:Key><s:Value>v</s:Value></s:Tag></s:TagSet></s:Tagging>',
    )
    for document in documents:
        found = xml_body.structure_of(shape, xml_body.read(document.encode()))
        assert found == {"TagSet": [{"Key": "k", "Value": "v"}]}
