"""TagResource, UntagResource, ListTags."""

from typing import Any

import pytest

from tests.contract.functions.conftest import ARN, Lambda

IPV = "InvalidParameterValueException"


async def test_tags_are_added_and_taken_away_without_a_new_revision(lambda_: Lambda) -> None:
    before = await lambda_.created(Tags={"a": "1", "b": "2"})
    await lambda_.tag_resource(Resource=ARN + "f", Tags={"b": "3", "c": "4"})
    await lambda_.untag_resource(Resource=ARN + "f", TagKeys=["a", "missing"])
    assert (await lambda_.list_tags(Resource=ARN + "f"))["Tags"] == {"b": "3", "c": "4"}
    after = await lambda_.get_function(FunctionName="f")
    assert after["Tags"] == {"b": "3", "c": "4"}
    assert after["Configuration"]["RevisionId"] == before["RevisionId"]


@pytest.mark.parametrize(
    ("operation", "parameters", "status", "code", "message"),
    [
        (
            "tag_resource",
            {"Resource": ARN + "f:1", "Tags": {"a": "b"}},
            400,
            IPV,
            "Tags on function aliases and versions are not supported. Please specify a function ARN.",
        ),
        (
            "list_tags",
            {"Resource": ARN + "f:live"},
            400,
            IPV,
            "Tags on function aliases and versions are not supported. Please specify a function ARN.",
        ),
        (
            "tag_resource",
            {"Resource": ARN + "f", "Tags": {f"k{n}": "v" for n in range(51)}},
            400,
            IPV,
            "Number of tags exceeds resource tag limit.",
        ),
        (
            "tag_resource",
            {"Resource": ARN + "f", "Tags": {}},
            400,
            IPV,
            "An error occurred and the request cannot be processed.",
        ),
        ("list_tags", {"Resource": ARN + "nope"}, 404, "ResourceNotFoundException", f"Function not found: {ARN}nope"),
        (
            "untag_resource",
            {"Resource": ARN + "nope", "TagKeys": ["a"]},
            404,
            "ResourceNotFoundException",
            f"Function not found: {ARN}nope",
        ),
    ],
)
async def test_bad_tagging_is_refused_in_the_words_of_aws(
    lambda_: Lambda, operation: str, parameters: dict[str, Any], status: int, code: str, message: str
) -> None:
    await lambda_.create(Publish=True)
    assert await lambda_.refused(operation, **parameters) == (status, code, message)


async def test_untagging_without_keys_is_a_validation_error(lambda_: Lambda) -> None:
    """As AWS was seen to answer."""
    await lambda_.create()
    status, code, message = await lambda_.refused("untag_resource", Resource=ARN + "f", TagKeys=[])
    assert (status, code) == (400, "ValidationException")
    assert "'tagKeys'" in message


async def test_tags_of_a_resource_that_is_not_built_are_501(lambda_: Lambda) -> None:
    resource = "arn:aws:lambda:us-east-1:123456789012:code-signing-config:csc-0123456789abcdefg"
    assert (await lambda_.refused("list_tags", Resource=resource))[0] == 501
