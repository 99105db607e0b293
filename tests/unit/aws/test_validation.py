"""Failed constraints in the words of AWS, letter by letter."""

from typing import Any

import pytest

from lambent.aws.models import service_model
from lambent.aws.validation import failures, message_of, shown


def message(operation: str, parameters: dict[str, Any], service: str = "lambda") -> str:
    return message_of(failures(service_model(service).operation_model(operation).input_shape, parameters))


CODE: dict[str, Any] = {"FunctionName": "f", "Role": "arn:aws:iam::123456789012:role/r", "Code": {}}


def test_one_failure_is_an_error_and_two_are_errors() -> None:
    assert message("ListFunctions", {"MaxItems": 0}) == (
        "1 validation error detected: Value '0' at 'maxItems' failed to satisfy constraint: "
        "Member must have value greater than or equal to 1"
    )
    assert message("ListFunctions", {"MaxItems": 0, "FunctionVersion": "SOME"}) == (
        "2 validation errors detected: Value 'SOME' at 'functionVersion' failed to satisfy constraint: "
        "Member must satisfy enum value set: [ALL]; Value '0' at 'maxItems' failed to satisfy constraint: "
        "Member must have value greater than or equal to 1"
    )


def test_a_missing_member_is_null() -> None:
    assert message("UntagResource", {"Resource": "arn:aws:lambda:us-east-1:123456789012:function:f"}) == (
        "1 validation error detected: Value null at 'tagKeys' failed to satisfy constraint: Member must not be null"
    )


def test_enums_are_listed_in_the_order_of_the_model() -> None:
    assert message("Invoke", {"FunctionName": "f", "InvocationType": "x"}) == (
        "1 validation error detected: Value 'x' at 'invocationType' failed to satisfy constraint: "
        "Member must satisfy enum value set: [Event, RequestResponse, DryRun]"
    )


def test_a_pattern_is_printed_as_the_model_has_it() -> None:
    assert message("CreateFunction", {**CODE, "Handler": "a b"}) == (
        "1 validation error detected: Value 'a b' at 'handler' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: [^\\s]+"
    )


def test_the_length_of_a_list_is_checked_and_the_list_printed() -> None:
    assert message("CreateFunction", {**CODE, "Architectures": ["x86_64", "arm64"]}) == (
        "1 validation error detected: Value '[x86_64, arm64]' at 'architectures' failed to satisfy constraint: "
        "Member must have length less than or equal to 1"
    )


def test_elements_of_a_list_fail_as_a_whole_with_all_their_rules() -> None:
    assert message("CreateFunction", {**CODE, "Architectures": ["X86_64"]}) == (
        "1 validation error detected: Value '[X86_64]' at 'architectures' failed to satisfy constraint: "
        "Member must satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64], Member must not be null]"
    )


def test_keys_and_values_of_a_map_have_their_own_words() -> None:
    routing: dict[str, Any] = {"FunctionName": "f", "Name": "live", "FunctionVersion": "1"}
    assert message("CreateAlias", {**routing, "RoutingConfig": {"AdditionalVersionWeights": {"$LATEST": 0.5}}}) == (
        "1 validation error detected: Value '{$LATEST=0.5}' at 'routingConfig.additionalVersionWeights' failed to "
        "satisfy constraint: Map keys must satisfy constraint: [Member must have length less than or equal to 1024, "
        "Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: [0-9]+, "
        "Member must not be null]"
    )
    assert message("CreateAlias", {**routing, "RoutingConfig": {"AdditionalVersionWeights": {"1": 2.0}}}) == (
        "1 validation error detected: Value '{1=2.0}' at 'routingConfig.additionalVersionWeights' failed to satisfy "
        "constraint: Map value must satisfy constraint: [Member must have value less than or equal to 1.0, "
        "Member must have value greater than or equal to 0.0, Member must not be null]"
    )


def test_members_of_nested_structures_have_a_path() -> None:
    assert message("CreateFunction", {**CODE, "EphemeralStorage": {"Size": 1}}) == (
        "1 validation error detected: Value '1' at 'ephemeralStorage.size' failed to satisfy constraint: "
        "Member must have value greater than or equal to 512"
    )
    mapping = {"FunctionName": "f", "FilterCriteria": {"Filters": [{"Pattern": "ok"}, {"Pattern": "x" * 4097}]}}
    assert " at 'filterCriteria.filters.2.member.pattern' failed" in message("CreateEventSourceMapping", mapping)


def test_a_null_in_a_list_is_refused() -> None:
    assert message("CreateFunction", {**CODE, "Architectures": [None]}) == (
        "1 validation error detected: Value '[null]' at 'architectures' failed to satisfy constraint: "
        "Member must satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64], Member must not be null]"
    )


def test_a_sensitive_value_is_not_printed() -> None:
    environment = {"Variables": {"1bad": "secret"}}
    assert "secret" not in message("CreateFunction", {**CODE, "Environment": environment})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (1.5, "1.5"),
        (["a", None], "[a, null]"),
        ({"k": ["v"], "l": 1}, "{k=[v], l=1}"),
    ],
)
def test_values_print_as_in_java(value: Any, text: str) -> None:
    assert shown(value) == text


def test_the_name_limit_counts_characters_not_bytes() -> None:
    assert message("CreateLogGroup", {"logGroupName": "x" * 512}, "logs").startswith("0 ")
    assert "Member must have length less than or equal to 512" in message(
        "CreateLogGroup", {"logGroupName": "x" * 513}, "logs"
    )
