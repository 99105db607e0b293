"""CreateAlias, GetAlias, UpdateAlias, DeleteAlias, ListAliases.

Texts as AWS was seen to give them (spec 1.2 and 1.5).
"""

from typing import Any

import pytest

from tests.contract.functions.conftest import ARN, ON_BOTH, Lambda

IPV = "InvalidParameterValueException"
RNF = "ResourceNotFoundException"
STALE = (
    "The Revision Id provided does not match the latest Revision Id."
    " Call the GetFunction/GetAlias API to retrieve the latest Revision Id"
)

pytestmark = ON_BOTH


async def versions(lambda_: Lambda, count: int = 2) -> None:
    """The function f with this many versions."""
    await lambda_.created()
    for number in range(1, count + 1):
        await lambda_.publish_version(FunctionName="f")
        await lambda_.update_function_configuration(FunctionName="f", Timeout=number + 10)
        await lambda_.updated()


async def alias(lambda_: Lambda, version: str = "1", name: str = "live", **parameters: Any) -> Any:
    reply = await lambda_.create_alias(FunctionName="f", Name=name, FunctionVersion=version, **parameters)
    return {member: value for member, value in reply.items() if member != "ResponseMetadata"}


def weights(**shares: float) -> dict[str, Any]:
    return {"AdditionalVersionWeights": {name.removeprefix("v"): share for name, share in shares.items()}}


async def test_an_alias_is_created_and_read_back(lambda_: Lambda) -> None:
    await versions(lambda_)
    before = (await lambda_.get_function_configuration(FunctionName="f"))["RevisionId"]
    reply = await lambda_.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    assert reply.pop("ResponseMetadata")["HTTPStatusCode"] == 201
    revision = reply.pop("RevisionId")
    assert reply == {"AliasArn": ARN + "f:live", "Name": "live", "FunctionVersion": "1", "Description": ""}
    read = await lambda_.get_alias(FunctionName="f", Name="live")
    assert (read["AliasArn"], read["RevisionId"]) == (reply["AliasArn"], revision)
    assert "RoutingConfig" not in read
    # An alias is no change of the function.
    assert (await lambda_.get_function_configuration(FunctionName="f"))["RevisionId"] == before


async def test_weights_and_description_are_kept_until_they_are_replaced(lambda_: Lambda) -> None:
    await versions(lambda_)
    created = await alias(lambda_, Description="text", RoutingConfig=weights(v2=0.25))
    assert created["RoutingConfig"] == weights(v2=0.25)
    await lambda_.update_alias(FunctionName="f", Name="live", Description="other")
    read = await lambda_.get_alias(FunctionName="f", Name="live")
    assert (read["RoutingConfig"], read["Description"]) == (weights(v2=0.25), "other")


@pytest.mark.parametrize("empty", [{}, {"AdditionalVersionWeights": {}}])
async def test_an_empty_routing_config_takes_the_weights_away(lambda_: Lambda, empty: dict[str, Any]) -> None:
    await versions(lambda_)
    await alias(lambda_, RoutingConfig=weights(v2=0.25))
    assert "RoutingConfig" not in await lambda_.update_alias(FunctionName="f", Name="live", RoutingConfig=empty)
    assert "RoutingConfig" not in await lambda_.get_alias(FunctionName="f", Name="live")


async def test_each_update_is_a_new_revision_and_a_stale_one_is_refused(lambda_: Lambda) -> None:
    await versions(lambda_)
    first = await alias(lambda_)
    second = await lambda_.update_alias(FunctionName="f", Name="live", RevisionId=first["RevisionId"])
    assert second["RevisionId"] != first["RevisionId"]
    assert await lambda_.refused(
        "update_alias", FunctionName="f", Name="live", FunctionVersion="2", RevisionId=first["RevisionId"]
    ) == (412, "PreconditionFailedException", STALE)
    assert (await lambda_.get_alias(FunctionName="f", Name="live"))["FunctionVersion"] == "1"


REFUSED: list[tuple[dict[str, Any], int, str, str]] = [
    (
        {"FunctionVersion": "1", "RoutingConfig": weights(v2=0.1, v3=0.1)},
        400,
        IPV,
        "Number of items in AdditionalVersionWeights cannot be greater than 1",
    ),
    (
        {"FunctionVersion": "1", "RoutingConfig": weights(v1=0.1)},
        400,
        IPV,
        "Invalid function version 1. Function version 1 is already included in routing configuration.",
    ),
    (
        {"FunctionVersion": "$LATEST", "RoutingConfig": weights(v1=0.1)},
        400,
        IPV,
        "$LATEST is not supported for an alias pointing to more than 1 version",
    ),
    ({"FunctionVersion": "1", "RoutingConfig": weights(v9=0.1)}, 404, RNF, f"Function not found: {ARN}f:9"),
    ({"FunctionVersion": "9"}, 404, RNF, f"Function not found: {ARN}f:9"),
]


@pytest.mark.parametrize(("members", "status", "code", "message"), REFUSED)
async def test_an_alias_that_cannot_be_is_refused_and_leaves_nothing(
    lambda_: Lambda, members: dict[str, Any], status: int, code: str, message: str
) -> None:
    await versions(lambda_)
    assert await lambda_.refused("create_alias", FunctionName="f", Name="live", **members) == (status, code, message)
    assert (await lambda_.list_aliases(FunctionName="f"))["Aliases"] == []
    kept = await alias(lambda_)
    assert await lambda_.refused("update_alias", FunctionName="f", Name="live", **members) == (status, code, message)
    assert (await lambda_.get_alias(FunctionName="f", Name="live"))["RevisionId"] == kept["RevisionId"]


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"Name": "123"}, "name"),
        ({"Name": "a b"}, "name"),
        ({"Name": "x" * 129}, "name"),
        ({"RoutingConfig": weights(v2=1.5)}, "routingConfig.additionalVersionWeights"),
        ({"RoutingConfig": weights(v2=-0.5)}, "routingConfig.additionalVersionWeights"),
        ({"RoutingConfig": {"AdditionalVersionWeights": {"$LATEST": 0.1}}}, "routingConfig.additionalVersionWeights"),
        ({"FunctionVersion": "live"}, "functionVersion"),
        ({"Description": "x" * 257}, "description"),
    ],
)
async def test_members_out_of_the_model_are_validation_errors(
    lambda_: Lambda, members: dict[str, Any], path: str
) -> None:
    await versions(lambda_, 1)
    asked = {"FunctionName": "f", "Name": "live", "FunctionVersion": "1", **members}
    status, code, message = await lambda_.refused("create_alias", **asked)
    assert (status, code) == (400, "ValidationException")
    assert f"at '{path}' failed to satisfy constraint" in message


async def test_versions_of_different_roles_do_not_share_an_alias(lambda_: Lambda) -> None:
    await versions(lambda_, 1)
    await lambda_.update_function_configuration(FunctionName="f", Role="arn:aws:iam::123456789012:role/other")
    await lambda_.updated()
    await lambda_.publish_version(FunctionName="f")
    assert await lambda_.refused(
        "create_alias", FunctionName="f", Name="live", FunctionVersion="1", RoutingConfig=weights(v2=0.5)
    ) == (400, IPV, "Specified versions must be associated with the same execution role")


async def test_a_second_alias_of_a_name_is_refused(lambda_: Lambda) -> None:
    await versions(lambda_)
    await alias(lambda_)
    assert await lambda_.refused("create_alias", FunctionName="f", Name="live", FunctionVersion="2") == (
        409,
        "ResourceConflictException",
        f"Alias already exists: {ARN}f:live",
    )


@pytest.mark.parametrize(
    ("operation", "message"),
    [("get_alias", f"Cannot find alias arn: {ARN}f:live"), ("update_alias", f"Alias not found: {ARN}f:live")],
)
async def test_a_missing_alias_is_named(lambda_: Lambda, operation: str, message: str) -> None:
    await versions(lambda_, 1)
    assert await lambda_.refused(operation, FunctionName="f", Name="live") == (404, RNF, message)


@pytest.mark.parametrize("operation", ["create_alias", "get_alias", "update_alias", "delete_alias", "list_aliases"])
async def test_aliases_of_a_missing_function_are_not_found(lambda_: Lambda, operation: str) -> None:
    members = {} if operation == "list_aliases" else {"Name": "live"}
    if operation == "create_alias":
        members["FunctionVersion"] = "1"
    assert await lambda_.refused(operation, FunctionName="f", **members) == (404, RNF, f"Function not found: {ARN}f")


async def test_deletion_is_204_also_of_a_missing_alias(lambda_: Lambda) -> None:
    await versions(lambda_)
    await alias(lambda_)
    for _ in range(2):
        reply = await lambda_.delete_alias(FunctionName="f", Name="live")
        assert reply["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert (await lambda_.refused("get_alias", FunctionName="f", Name="live"))[1] == RNF


async def test_a_list_can_ask_for_a_version_and_has_pages(lambda_: Lambda) -> None:
    await versions(lambda_)
    for name, version in (("a", "1"), ("b", "2"), ("c", "1"), ("d", "$LATEST")):
        await alias(lambda_, version, name)
    await alias(lambda_, "2", "e", RoutingConfig=weights(v1=0.5))

    async def names(**filters: Any) -> list[str]:
        found = await lambda_.client.pages("list_aliases", FunctionName="f", **filters)
        return [each["Name"] for page in found for each in page["Aliases"]]

    assert await names() == ["a", "b", "c", "d", "e"]
    assert await names(PaginationConfig={"PageSize": 2}) == ["a", "b", "c", "d", "e"]
    assert await names(FunctionVersion="1") == ["a", "c", "e"]
    assert await names(FunctionVersion="9") == []
    assert "NextMarker" not in await lambda_.list_aliases(FunctionName="f", MaxItems=5)


async def test_an_alias_is_a_qualifier_everywhere(lambda_: Lambda) -> None:
    """The version is the one behind it, the ARN carries the alias."""
    await versions(lambda_)
    await alias(lambda_)
    for form in ({"FunctionName": "f:live"}, {"FunctionName": "f", "Qualifier": "live"}):
        read = await lambda_.get_function_configuration(**form)
        assert (read["Version"], read["FunctionArn"], read["Timeout"]) == ("1", ARN + "f:live", 3)
    whole = await lambda_.get_function(FunctionName=ARN + "f:live")
    assert (whole["Configuration"]["Version"], whole["Configuration"]["FunctionArn"]) == ("1", ARN + "f:live")
    await lambda_.update_alias(FunctionName="f", Name="live", FunctionVersion="$LATEST")
    assert (await lambda_.get_function_configuration(FunctionName="f:live"))["Version"] == "$LATEST"


async def test_a_version_behind_an_alias_cannot_be_deleted(lambda_: Lambda) -> None:
    await versions(lambda_)
    await alias(lambda_, RoutingConfig=weights(v2=0.5))
    await alias(lambda_, name="also")
    for version, names in (("1", "also, live"), ("2", "live")):
        assert await lambda_.refused("delete_function", FunctionName="f", Qualifier=version) == (
            409,
            "ResourceConflictException",
            f"Unable to delete version because the following aliases reference it: [{names}]",
        )
    await lambda_.delete_alias(FunctionName="f", Name="live")
    await lambda_.delete_function(FunctionName="f", Qualifier="2")


async def test_a_new_function_of_a_name_has_no_aliases_of_the_old_one(lambda_: Lambda) -> None:
    await versions(lambda_, 1)
    await alias(lambda_)
    await lambda_.delete_function(FunctionName="f")
    await lambda_.created()
    assert (await lambda_.list_aliases(FunctionName="f"))["Aliases"] == []
