"""Long strings taken out of a document come back as the parser would have given them, or the parser is asked."""

import base64
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambent.aws.errors import ApiError
from lambent.aws.models import service_model
from lambent.aws.shapes import Shape
from lambent.gateway.protocols import json_body, large_blobs

SHAPE = service_model("lambda").operation_model("CreateFunction").input_shape
MEMBERS: dict[str, Shape] = SHAPE.members

LONG = st.one_of(
    st.sampled_from([b"QUJD" * 60, b"QUJD" * 60 + b"QQ==", b"QQ==" * 40, b"QUJD" * 30 + b"Q", b"=" * 160, b"\xff" * 150,
                     b"QUJD" * 40 + b"\n", b"QUJD" * 20 + b'\\"' + b"QUJD" * 30, b"QUJD" * 20 + b"\\/" + b"QUJD" * 30]),
    st.text(st.sampled_from("QUJD="), min_size=60, max_size=200).map(str.encode),
)  # fmt: skip
SHORT = st.sampled_from([b"", b"a", b'q\\"q', b"\\\\", b"QUJD", b"QQ="])
STRINGS = st.one_of(LONG, SHORT).map(lambda text: b'"' + text + b'"')
VALUES = st.one_of(STRINGS, st.sampled_from([b"null", b"7", b"{}", b"[]", b"x"]))
DOCUMENTS = st.builds(
    lambda code, name, layers, more, end: (
        b'{"Code": {"ZipFile": %b, "S3Key": "k"}, "FunctionName": %b, "Layers": [%b], "Other": {"a": [%b]}%b'
        % (code, name, layers, more, end)
    ),
    VALUES, VALUES, VALUES, VALUES, st.sampled_from([b"}", b"}", b"", b'} "']),
)  # fmt: skip


def parsed(body: bytes) -> Any:
    try:
        return json_body.parse_members(body, MEMBERS)
    except ApiError as error:
        return error.code, error.message


@settings(max_examples=400, deadline=None, database=None)
@given(document=DOCUMENTS)
def test_both_ways_give_the_same_parameters_or_the_same_error(document: bytes) -> None:
    expected = parsed(document)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_body, "LARGE_BYTES", 0)
        patch.setattr(large_blobs, "LONG_BYTES", 100)
        patch.setattr(large_blobs, "STEP_BYTES", 40)
        assert parsed(document) == expected


def test_a_package_is_taken_out() -> None:
    content = bytes(range(256)) * 8192
    encoded = base64.b64encode(content).decode()
    body = orjson.dumps({"Description": 'a "quoted" text', "Code": {"ZipFile": encoded}})
    found = large_blobs.document_with_blobs(body)
    assert found is not None
    assert isinstance(found[0]["Code"]["ZipFile"], large_blobs.Blob)
    assert found[0]["Code"]["ZipFile"].decoded() == content
    assert json_body.parse_members(body, MEMBERS)["Code"]["ZipFile"] == content
