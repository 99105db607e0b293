"""PublishVersion, ListVersionsByFunction, DeleteFunction."""

import pytest

from lambent.testing.runtime_support import FakeRuntimeSupport
from tests.contract.functions.conftest import ARN, ON_BOTH, Lambda
from tests.unit.functions.conftest import package

pytestmark = ON_BOTH

IPV = "InvalidParameterValueException"


async def test_a_published_version_is_a_copy_of_latest(lambda_: Lambda) -> None:
    before = await lambda_.created(Description="from $LATEST")
    version = await lambda_.publish_version(FunctionName="f")
    assert version["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert (version["Version"], version["FunctionArn"], version["State"]) == ("1", ARN + "f:1", "Active")
    assert version["Description"] == "from $LATEST"
    assert version["CodeSha256"] == before["CodeSha256"]
    assert version["RevisionId"] != before["RevisionId"]
    after = await lambda_.get_function_configuration(FunctionName="f")
    assert after["RevisionId"] not in (before["RevisionId"], version["RevisionId"])


async def test_publishing_without_a_change_gives_the_last_version_again(lambda_: Lambda) -> None:
    """As AWS was seen to answer; an update that changes nothing is no change."""
    await lambda_.created()
    first = await lambda_.publish_version(FunctionName="f", Description="one")
    await lambda_.update_function_configuration(FunctionName="f", Timeout=3)
    await lambda_.updated()
    again = await lambda_.publish_version(FunctionName="f", Description="two")
    assert (again["Version"], again["Description"]) == ("1", "one")
    assert again["RevisionId"] == first["RevisionId"]
    assert again["ResponseMetadata"]["HTTPStatusCode"] == 201


async def test_a_published_version_does_not_change_with_latest(lambda_: Lambda) -> None:
    await lambda_.created(Timeout=5)
    await lambda_.publish_version(FunctionName="f")
    await lambda_.update_function_configuration(FunctionName="f", Timeout=9)
    await lambda_.updated()
    second = await lambda_.publish_version(FunctionName="f")
    assert (second["Version"], second["Timeout"]) == ("2", 9)
    assert (await lambda_.get_function_configuration(FunctionName="f:1"))["Timeout"] == 5
    listed = (await lambda_.list_versions_by_function(FunctionName="f"))["Versions"]
    assert [v["FunctionArn"] for v in listed] == [ARN + "f:$LATEST", ARN + "f:1", ARN + "f:2"]


async def test_a_code_digest_guards_publishing(lambda_: Lambda) -> None:
    """As AWS was seen to answer."""
    current = (await lambda_.created())["CodeSha256"]
    assert await lambda_.refused("publish_version", FunctionName="f", CodeSha256="AAAA") == (
        400,
        IPV,
        f"CodeSHA256 (AAAA) is different from current CodeSHA256 in $LATEST ({current}). Please try again with the "
        "CodeSHA256 in $LATEST.",
    )
    assert (await lambda_.publish_version(FunctionName="f", CodeSha256=current))["Version"] == "1"


async def test_numbers_are_never_used_twice(lambda_: Lambda) -> None:
    """Not after the deletion of a version, nor of the function."""
    await lambda_.create(Publish=True)
    await lambda_.wait("function_active_v2", FunctionName="f")
    await lambda_.delete_function(FunctionName="f", Qualifier="1")
    assert (await lambda_.publish_version(FunctionName="f"))["Version"] == "2"
    await lambda_.delete_function(FunctionName="f")
    assert (await lambda_.create(Publish=True))["Version"] == "3"


async def test_deleting_a_function_takes_all_its_versions(lambda_: Lambda) -> None:
    await lambda_.create(Publish=True)
    reply = await lambda_.delete_function(FunctionName="f")
    assert reply["ResponseMetadata"]["HTTPStatusCode"] == 204
    for qualifier in ("$LATEST", "1"):
        refused = await lambda_.refused("get_function", FunctionName="f", Qualifier=qualifier)
        assert refused[1] == "ResourceNotFoundException"


async def test_deleting_a_version_leaves_the_others(lambda_: Lambda) -> None:
    await lambda_.create(Publish=True)
    for _ in range(2):  # A version that is gone is deleted again without an error.
        reply = await lambda_.delete_function(FunctionName="f", Qualifier="1")
        assert reply["ResponseMetadata"]["HTTPStatusCode"] == 204
    listed = (await lambda_.list_versions_by_function(FunctionName="f"))["Versions"]
    assert [v["Version"] for v in listed] == ["$LATEST"]


@pytest.mark.parametrize(
    ("qualifier", "message"),
    [
        ("$LATEST", "$LATEST version cannot be deleted without deleting the function."),
        ("live", "Deletion of aliases is not currently supported."),
    ],
)
async def test_latest_and_aliases_are_not_deleted_by_qualifier(lambda_: Lambda, qualifier: str, message: str) -> None:
    """As AWS was seen to answer."""
    await lambda_.create()
    assert await lambda_.refused("delete_function", FunctionName="f", Qualifier=qualifier) == (400, IPV, message)


async def test_a_version_of_new_code_serves_its_own_code(lambda_: Lambda) -> None:
    await lambda_.create(Publish=True)
    await lambda_.wait("function_active_v2", FunctionName="f")
    second = await lambda_.update_function_code(FunctionName="f", ZipFile=package("2"), Publish=True)
    await lambda_.wait("published_version_active", FunctionName="f", Qualifier="2")
    first = await lambda_.get_function_configuration(FunctionName="f", Qualifier="1")
    assert second["CodeSha256"] != first["CodeSha256"]


async def test_a_revision_guards_publishing(lambda_: Lambda) -> None:
    """As AWS was seen to answer (spec 1.5)."""
    stale = (await lambda_.create())["RevisionId"]
    current = (await lambda_.updated())["RevisionId"]
    assert await lambda_.refused("publish_version", FunctionName="f", RevisionId=stale) == (
        412,
        "PreconditionFailedException",
        "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve"
        " the latest Revision Id",
    )
    assert (await lambda_.publish_version(FunctionName="f", RevisionId=current))["Version"] == "1"


async def test_an_update_under_way_refuses_publishing(lambda_: Lambda, support: FakeRuntimeSupport) -> None:
    """As AWS was seen to answer (spec 1.4)."""
    await lambda_.created()
    support.hold()
    await lambda_.update_function_configuration(FunctionName="f", Timeout=9)
    assert await lambda_.refused("publish_version", FunctionName="f") == (
        409,
        "ResourceConflictException",
        f"The operation cannot be performed at this time. An update is in progress for resource: {ARN}f",
    )
    support.release()


async def test_versions_are_listed_in_pages_of_their_order(lambda_: Lambda) -> None:
    await lambda_.created()
    for number in range(1, 13):
        await lambda_.update_function_configuration(FunctionName="f", Timeout=number + 3)
        await lambda_.updated()
        await lambda_.publish_version(FunctionName="f", Description=f"number {number}")
    pages = await lambda_.client.pages("list_versions_by_function", FunctionName="f", PaginationConfig={"PageSize": 5})
    listed = [version for page in pages for version in page["Versions"]]
    assert [len(page["Versions"]) for page in pages] == [5, 5, 3]
    assert [version["Version"] for version in listed] == ["$LATEST", *map(str, range(1, 13))]
    assert listed[12]["Description"] == "number 12"
    assert "State" not in listed[1]
    refused = await lambda_.refused("list_versions_by_function", FunctionName="f", Marker="!")
    assert refused[:2] == (400, IPV)


async def test_policies_aliases_tags_and_concurrency_are_no_change_to_publish(lambda_: Lambda) -> None:
    """Spec 1.5: what counts as a change."""
    await lambda_.created()
    await lambda_.publish_version(FunctionName="f")
    await lambda_.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    await lambda_.add_permission(FunctionName="f", StatementId="s", Action="lambda:*", Principal="*")
    await lambda_.tag_resource(Resource=ARN + "f", Tags={"a": "b"})
    await lambda_.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=3)
    assert (await lambda_.publish_version(FunctionName="f"))["Version"] == "1"
