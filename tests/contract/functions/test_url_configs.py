"""Function URL configurations as boto3 sees them (spec of the API, 1.9)."""

import re
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection

from lambent.functions import store
from lambent.functions.changes import Change
from lambent.functions.control_plane import ControlPlane
from lambent.functions.records import Alias, FunctionKey
from tests.contract.functions.conftest import ACCOUNT, ARN, Lambda

RNF = "ResourceNotFoundException"
MISSING = (404, RNF, "The resource you requested does not exist.")
NO_FUNCTION = (404, RNF, "Function does not exist")
URL = re.compile(r"http://([a-z0-9]{32})\.lambda-url\.us-east-1\.localhost:4566/")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
CORS = {
    "AllowCredentials": True,
    "AllowHeaders": ["x-one"],
    "AllowMethods": ["GET", "*"],
    "AllowOrigins": ["https://example.com"],
    "ExposeHeaders": ["x-two"],
    "MaxAge": 86400,
}


@pytest.fixture
async def alias(plane: ControlPlane, lambda_: Lambda) -> str:
    """The alias `live` of the function `f`."""
    await lambda_.created()
    record = Alias(name="live", version="$LATEST", revision_id="r")
    key = FunctionKey(ACCOUNT, "us-east-1", "f")

    def commit(connection: Connection) -> Change:
        store.put_attachment(connection, key, "live", record)
        return Change(key=key, attached={(Alias, "live"): record})

    await plane._changes.commit(commit)
    return "live"


async def test_a_url_is_created_read_and_deleted(lambda_: Lambda) -> None:
    await lambda_.created()
    created = await lambda_.create_function_url_config(FunctionName="f", AuthType="NONE")
    metadata = created.pop("ResponseMetadata")
    assert metadata["HTTPStatusCode"] == 201
    assert URL.fullmatch(created["FunctionUrl"])
    assert TIME.fullmatch(created["CreationTime"])
    assert created.keys() == {"FunctionUrl", "FunctionArn", "AuthType", "CreationTime"}
    assert (created["FunctionArn"], created["AuthType"]) == (ARN + "f", "NONE")

    got = await lambda_.get_function_url_config(FunctionName="f")
    assert got["InvokeMode"] == "BUFFERED"
    assert got["LastModifiedTime"] == got["CreationTime"] == created["CreationTime"]
    assert got["FunctionUrl"] == created["FunctionUrl"]

    deleted = await lambda_.delete_function_url_config(FunctionName="f")
    assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert await lambda_.refused("get_function_url_config", FunctionName="f") == MISSING
    again = await lambda_.create_function_url_config(FunctionName="f", AuthType="NONE")
    assert again["FunctionUrl"] != created["FunctionUrl"]


async def test_the_invoke_mode_is_told_when_it_was_sent(lambda_: Lambda) -> None:
    """As AWS was seen to answer."""
    await lambda_.created()
    parameters = {"FunctionName": "f", "AuthType": "NONE", "InvokeMode": "BUFFERED"}
    assert (await lambda_.create_function_url_config(**parameters))["InvokeMode"] == "BUFFERED"
    assert (await lambda_.update_function_url_config(**parameters))["InvokeMode"] == "BUFFERED"
    del parameters["InvokeMode"]
    assert "InvokeMode" not in await lambda_.update_function_url_config(**parameters)


async def test_the_invoke_mode_stays_until_it_is_changed(lambda_: Lambda) -> None:
    await lambda_.created()
    parameters = {"FunctionName": "f", "AuthType": "NONE"}
    created = await lambda_.create_function_url_config(**parameters, InvokeMode="RESPONSE_STREAM")
    assert created["InvokeMode"] == "RESPONSE_STREAM"
    await lambda_.update_function_url_config(**parameters)
    assert (await lambda_.get_function_url_config(FunctionName="f"))["InvokeMode"] == "RESPONSE_STREAM"
    await lambda_.update_function_url_config(**parameters, InvokeMode="BUFFERED")
    assert (await lambda_.get_function_url_config(FunctionName="f"))["InvokeMode"] == "BUFFERED"


async def test_an_update_changes_what_it_names_and_replaces_cors_as_a_whole(lambda_: Lambda) -> None:
    await lambda_.created()
    created = await lambda_.create_function_url_config(FunctionName="f", AuthType="NONE", Cors=CORS)
    assert created["Cors"] == CORS
    updated = await lambda_.update_function_url_config(FunctionName="f", AuthType="AWS_IAM")
    assert (updated["AuthType"], updated["Cors"], updated["FunctionUrl"]) == ("AWS_IAM", CORS, created["FunctionUrl"])
    assert updated["LastModifiedTime"] >= updated["CreationTime"] == created["CreationTime"]
    updated = await lambda_.update_function_url_config(FunctionName="f", Cors={"MaxAge": 1})
    assert updated["Cors"] == {"MaxAge": 1}
    # What Terraform sends when the block is gone.
    assert "Cors" not in await lambda_.update_function_url_config(FunctionName="f", Cors={})


async def test_a_second_url_of_the_same_function_is_a_conflict(lambda_: Lambda, alias: str) -> None:
    """As AWS was seen to answer; two blanks are real."""
    for qualifier, arn in (({}, ARN + "f"), ({"Qualifier": alias}, ARN + "f:live")):
        await lambda_.create_function_url_config(FunctionName="f", AuthType="NONE", **qualifier)
        assert await lambda_.refused("create_function_url_config", FunctionName="f", AuthType="NONE", **qualifier) == (
            409,
            "ResourceConflictException",
            f"Failed to create function url config for [functionArn = {arn}]. Error message:  FunctionUrlConfig exists "
            "for this Lambda function",
        )


async def test_the_list_has_the_urls_of_the_function_and_its_aliases(lambda_: Lambda, alias: str) -> None:
    await lambda_.create_function_url_config(FunctionName="f", AuthType="NONE")
    await lambda_.create_function_url_config(FunctionName=f"f:{alias}", AuthType="AWS_IAM")
    reply = await lambda_.list_function_url_configs(FunctionName="f")
    listed = reply["FunctionUrlConfigs"]
    assert [(item["FunctionArn"], item["AuthType"]) for item in listed] == [
        (ARN + "f", "NONE"),
        (ARN + "f:live", "AWS_IAM"),
    ]
    first = await lambda_.list_function_url_configs(FunctionName="f", MaxItems=1)
    second = await lambda_.list_function_url_configs(FunctionName="f", MaxItems=1, Marker=first["NextMarker"])
    assert [first["FunctionUrlConfigs"][0], second["FunctionUrlConfigs"][0]] == listed
    assert "NextMarker" not in second


@pytest.mark.parametrize(
    ("operation", "parameters", "refusal"),
    [
        ("create_function_url_config", {"AuthType": "NONE"}, NO_FUNCTION),
        ("update_function_url_config", {"AuthType": "NONE"}, NO_FUNCTION),
        ("list_function_url_configs", {}, NO_FUNCTION),
        ("get_function_url_config", {}, MISSING),
        ("delete_function_url_config", {}, MISSING),
    ],
)
async def test_a_missing_function(
    lambda_: Lambda, operation: str, parameters: dict[str, Any], refusal: tuple[int, str, str]
) -> None:
    assert await lambda_.refused(operation, FunctionName="nobody", **parameters) == refusal


@pytest.mark.parametrize("operation", ["get", "update", "delete"])
async def test_a_function_without_a_url(lambda_: Lambda, operation: str) -> None:
    await lambda_.created()
    assert await lambda_.refused(f"{operation}_function_url_config", FunctionName="f") == MISSING


async def test_a_url_of_an_alias_needs_the_alias(lambda_: Lambda) -> None:
    await lambda_.created()
    parameters = {"FunctionName": "f", "Qualifier": "nobody", "AuthType": "NONE"}
    assert await lambda_.refused("create_function_url_config", **parameters) == NO_FUNCTION


@pytest.mark.parametrize("qualifier", ["1", "$LATEST"])
async def test_versions_have_no_urls(lambda_: Lambda, qualifier: str) -> None:
    """As AWS was seen to answer."""
    await lambda_.created()
    parameters = {"FunctionName": "f", "Qualifier": qualifier, "AuthType": "NONE"}
    assert await lambda_.refused("create_function_url_config", **parameters) == (
        400,
        "ValidationException",
        f"1 validation error detected: Value '{qualifier}' at 'qualifier' failed to satisfy constraint: Member must "
        r"satisfy regular expression pattern: ((?!^\d+$)^[0-9a-zA-Z-_]+$)",
    )


@pytest.mark.parametrize(
    "cors",
    [
        {"AllowMethods": ["OPTIONS"]},
        {"AllowMethods": ["get"]},
        {"AllowMethods": ["GET"] * 7},
        {"MaxAge": 86401},
        {"MaxAge": -1},
        {"AllowOrigins": [""]},
        {"AllowOrigins": ["*"] * 101},
        {"AllowHeaders": ["x"] * 101},
    ],
)
async def test_cors_out_of_bounds_is_refused_and_nothing_stays(lambda_: Lambda, cors: dict[str, Any]) -> None:
    await lambda_.created()
    refused = await lambda_.refused("create_function_url_config", FunctionName="f", AuthType="NONE", Cors=cors)
    assert refused[0] == 400
    assert await lambda_.refused("get_function_url_config", FunctionName="f") == MISSING


async def test_urls_of_other_accounts_are_refused(lambda_: Lambda) -> None:
    arn = "arn:aws:lambda:us-east-1:999999999999:function:f"
    refused = await lambda_.refused("get_function_url_config", FunctionName=arn)
    assert refused[:2] == (403, "AccessDeniedException")


async def test_an_id_is_found_until_its_url_or_function_is_gone(plane: ControlPlane, lambda_: Lambda) -> None:
    await lambda_.created()
    key = FunctionKey(ACCOUNT, "us-east-1", "f")
    ids = []
    for _ in range(2):
        reply = await lambda_.create_function_url_config(FunctionName="f", AuthType="NONE")
        match = URL.fullmatch(reply["FunctionUrl"])
        assert match is not None
        ids.append(match[1])
        assert plane.read_model.url(match[1]) == (key, "")
        if len(ids) == 1:
            await lambda_.delete_function_url_config(FunctionName="f")
    assert plane.read_model.url(ids[0]) is None
    await lambda_.tag_resource(Resource=ARN + "f", Tags={"a": "b"})
    assert plane.read_model.url(ids[1]) == (key, "")
    stored = plane._database.read_now(store.load_all)
    plane.read_model.load([replace(function) for function in stored])
    assert plane.read_model.url(ids[1]) == (key, "")
    await lambda_.delete_function(FunctionName="f")
    assert plane.read_model.url(ids[1]) is None
