"""The models of the pinned botocore."""

import pytest

from lambent.aws.models import UnknownService, service_model
from lambent.aws.validation import compiled


def test_lambda_and_logs_load_without_their_documentation() -> None:
    for name in ("lambda", "logs"):
        model = service_model(name)
        assert len(model.operation_names) > 80
        assert all(not model.operation_model(operation).documentation for operation in model.operation_names)


def test_the_newest_version_of_a_service_is_taken() -> None:
    assert service_model("lambda").api_version == "2015-03-31"


@pytest.mark.parametrize("name", ["nonsense", "", "../lambda", "lambda/2015-03-31", "*"])
def test_a_service_without_a_model_is_unknown(name: str) -> None:
    with pytest.raises(UnknownService):
        service_model(name)


@pytest.mark.parametrize("name", ["lambda", "logs"])
def test_every_pattern_of_the_models_compiles(name: str) -> None:
    model = service_model(name)
    patterns = {shape: model.shape_for(shape).metadata.get("pattern") for shape in model.shape_names}
    found = [pattern for pattern in patterns.values() if pattern is not None]
    assert len(found) > 40
    for pattern in found:
        compiled(pattern).fullmatch("x")


def test_patterns_match_the_whole_value_as_in_java() -> None:
    assert compiled("[a-z]+").fullmatch("abc")
    assert not compiled("[a-z]+").fullmatch("abc\n")
    assert not compiled("[a-z]+").fullmatch("abc!")
    assert not compiled(r"\d+").fullmatch("١٢")
    tag = compiled(r"([\p{L}\p{Z}\p{N}_.:/=+\-@]*)")
    assert tag.fullmatch("größe 1")
    assert not tag.fullmatch("a\tb")
    assert compiled(r"[\w-_]*").fullmatch("a-b_c")


@pytest.mark.parametrize("name", ["lambda", "logs"])
def test_no_pattern_needs_long_for_a_hostile_value(name: str) -> None:
    # The time-out of the test is the assertion: a pattern that backtracks without end never comes back.
    model = service_model(name)
    for shape in model.shape_names:
        pattern = model.shape_for(shape).metadata.get("pattern")
        if pattern is not None:
            for hostile in ("a" * 3000 + "!", "1" * 3000 + "\x00", "a-" * 1500 + "\n", "arn:aws:" + "a:" * 1500 + "\n"):
                compiled(pattern).fullmatch(hostile)
