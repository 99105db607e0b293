"""TagResource, UntagResource, ListTags (spec 1.12)."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from lambent.aws.errors import not_found
from lambent.aws.service import CallContext
from lambent.functions.control_plane import ControlPlane
from tests.contract.functions.conftest import ACCOUNT, ARN, ON_BOTH, Lambda

pytestmark = ON_BOTH

IPV = "InvalidParameterValueException"


async def test_tags_are_added_and_taken_away(lambda_: Lambda) -> None:
    before = await lambda_.created(Tags={"a": "1", "b": "2"})
    await lambda_.tag_resource(Resource=ARN + "f", Tags={"b": "3", "c": "4"})
    await lambda_.untag_resource(Resource=ARN + "f", TagKeys=["a", "missing"])
    assert (await lambda_.list_tags(Resource=ARN + "f"))["Tags"] == {"b": "3", "c": "4"}
    after = await lambda_.get_function(FunctionName="f")
    assert after["Tags"] == {"b": "3", "c": "4"}
    assert after["Configuration"]["State"] == "Active"
    assert after["Configuration"]["LastModified"] == before["LastModified"]


async def test_each_change_of_tags_is_a_new_revision(lambda_: Lambda) -> None:
    """As AWS was seen to answer, also where nothing is different."""
    seen = {(await lambda_.created())["RevisionId"]}
    for _ in range(2):
        await lambda_.tag_resource(Resource=ARN + "f", Tags={"a": "1"})
        seen.add((await lambda_.get_function_configuration(FunctionName="f"))["RevisionId"])
    await lambda_.untag_resource(Resource=ARN + "f", TagKeys=["a"])
    seen.add((await lambda_.get_function_configuration(FunctionName="f"))["RevisionId"])
    assert len(seen) == 4


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


MAPPING = f"arn:aws:lambda:us-east-1:{ACCOUNT}:event-source-mapping:14e0db71-5d35-4eb5-b481-8945cf9d10c2"


class Mappings:
    """Another kind of resource, kept by somebody else."""

    def __init__(self) -> None:
        self.kept: Mapping[str, str] = {"a": "1"}

    def tags(self, context: CallContext, arn: str) -> Mapping[str, str]:
        if arn != MAPPING:
            raise not_found(f"Event source mapping not found: {arn}")
        return self.kept

    async def change_tags(
        self,
        context: CallContext,
        arn: str,
        decide: Callable[[Mapping[str, str]], Mapping[str, str]],
    ) -> None:
        self.kept = decide(self.tags(context, arn))


async def test_tags_of_other_kinds_go_to_who_keeps_them(lambda_: Lambda, plane: ControlPlane) -> None:
    plane.taggables["event-source-mapping"] = mappings = Mappings()
    await lambda_.tag_resource(Resource=MAPPING, Tags={"b": "2"})
    await lambda_.untag_resource(Resource=MAPPING, TagKeys=["a"])
    assert (await lambda_.list_tags(Resource=MAPPING))["Tags"] == mappings.kept == {"b": "2"}
    other = MAPPING.replace("14e0", "0000")
    assert await lambda_.refused("list_tags", Resource=other) == (
        404,
        "ResourceNotFoundException",
        f"Event source mapping not found: {other}",
    )
    for tags, text in (
        ({f"k{n}": "v" for n in range(50)}, "Number of tags exceeds resource tag limit."),
        ({}, "An error occurred and the request cannot be processed."),
        ({"aws:x": "y"}, "Tag keys that begin with aws: are reserved: aws:x"),
    ):
        assert await lambda_.refused("tag_resource", Resource=MAPPING, Tags=tags) == (400, IPV, text)
    assert mappings.kept == {"b": "2"}


@pytest.mark.parametrize("resource", ["capacity-provider:p", "network-connector:n"])
async def test_tags_of_a_kind_that_is_not_built_are_501(lambda_: Lambda, resource: str) -> None:
    arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:{resource}"
    assert (await lambda_.refused("list_tags", Resource=arn))[:2] == (501, "NotImplementedException")
    assert (await lambda_.refused("tag_resource", Resource=arn, Tags={"a": "b"}))[:2] == (
        501,
        "NotImplementedException",
    )


@pytest.mark.parametrize(
    ("resource", "tags"),
    [
        (ARN + "f", {"": "v"}),
        (ARN + "f", {"k" * 129: "v"}),
        (ARN + "f", {"k": "v" * 257}),
        (ARN + "f", {"k$": "v"}),
        (f"arn:aws:lambda:us-east-1:{ACCOUNT}:layer:l", {"k": "v"}),
    ],
)
async def test_tags_and_resources_that_the_model_forbids_are_validation_errors(
    lambda_: Lambda, resource: str, tags: dict[str, str]
) -> None:
    await lambda_.create()
    assert (await lambda_.refused("tag_resource", Resource=resource, Tags=tags))[:2] == (400, "ValidationException")
    assert "Tags" not in await lambda_.get_function(FunctionName="f")
