"""Publishing, getting, listing and deleting layer versions (spec of the API, 1.6)."""

import base64
import hashlib
import re

import pytest

from lambent.functions.control_plane import ControlPlane
from lambent.functions.quotas import Quotas
from lambent.testing.scripted_caller import ScriptedCaller
from tests.contract.functions.conftest import ON_BOTH, Lambda
from tests.contract.layers.conftest import LAYER, archive, content, publish
from tests.unit.functions.conftest import creation

pytestmark = ON_BOTH

IPV = "InvalidParameterValueException"
MISSING = (404, "ResourceNotFoundException", "The resource you requested does not exist.")
BELOW_ONE = (400, IPV, "Layer Version Cannot be less than 1")


async def test_a_layer_version_is_published_and_got(lambda_: Lambda) -> None:
    sent = content()["ZipFile"]
    reply = await publish(
        lambda_,
        Description="shared",
        CompatibleRuntimes=["python3.12", "python3.13"],
        CompatibleArchitectures=["x86_64"],
        LicenseInfo="MIT",
    )
    assert reply.pop("ResponseMetadata")["HTTPStatusCode"] == 201
    got = await lambda_.get_layer_version(LayerName="l", VersionNumber=1)
    by_arn = await lambda_.get_layer_version_by_arn(Arn=LAYER + "l:1")
    for each in (got, by_arn):
        each.pop("ResponseMetadata")
        assert each["Content"].pop("Location")
    assert re.search(r"expires=\d+", reply["Content"].pop("Location"))
    assert got == by_arn == reply
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", reply.pop("CreatedDate"))
    assert reply == {
        "Content": {
            "CodeSha256": base64.b64encode(hashlib.sha256(sent).digest()).decode(),
            "CodeSize": len(sent),
        },
        "LayerArn": LAYER + "l",
        "LayerVersionArn": LAYER + "l:1",
        "Description": "shared",
        "Version": 1,
        "CompatibleRuntimes": ["python3.12", "python3.13"],
        "CompatibleArchitectures": ["x86_64"],
        "LicenseInfo": "MIT",
    }


async def test_what_was_not_sent_is_not_told(lambda_: Lambda) -> None:
    reply = await publish(lambda_)
    assert reply["Description"] == ""
    assert reply.keys().isdisjoint({"CompatibleRuntimes", "CompatibleArchitectures", "LicenseInfo"})


async def test_the_location_gives_the_archive_for_ten_minutes(lambda_: Lambda, plane: ControlPlane) -> None:
    location = (await publish(lambda_))["Content"]["Location"]
    address, _, query = location.partition("?")
    path = address.partition("localhost:4566")[2]
    found = plane.code_archive(path, dict(each.split("=", 1) for each in query.split("&")))
    assert found.read_bytes() == content()["ZipFile"]


async def test_numbers_grow_and_are_not_used_again(lambda_: Lambda) -> None:
    assert [(await publish(lambda_, text=text))["Version"] for text in "abb"] == [1, 2, 3]
    for number in (1, 2, 3):
        deleted = await lambda_.delete_layer_version(LayerName="l", VersionNumber=number)
        assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert (await publish(lambda_))["Version"] == 4
    assert (await publish(lambda_, "another"))["Version"] == 1


async def test_a_layer_is_named_by_its_arn_too(lambda_: Lambda) -> None:
    assert (await publish(lambda_, LAYER + "l"))["LayerVersionArn"] == LAYER + "l:1"
    assert (await lambda_.get_layer_version(LayerName=LAYER + "l", VersionNumber=1))["Version"] == 1


async def test_a_version_that_is_not_there(lambda_: Lambda) -> None:
    """1.6: its texts, and what is no error."""
    assert await lambda_.refused("get_layer_version", LayerName="l", VersionNumber=1) == MISSING
    assert await lambda_.refused("get_layer_version_by_arn", Arn=LAYER + "l:1") == MISSING
    assert await lambda_.refused("get_layer_version", LayerName="l", VersionNumber=0) == BELOW_ONE
    assert await lambda_.refused("get_layer_version_by_arn", Arn=LAYER + "l:0") == BELOW_ONE
    assert (await lambda_.list_layer_versions(LayerName="l"))["LayerVersions"] == []
    deleted = await lambda_.delete_layer_version(LayerName="l", VersionNumber=9)
    assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204


async def test_a_deleted_version_is_gone_from_every_reply(lambda_: Lambda) -> None:
    await publish(lambda_)
    await publish(lambda_)
    await lambda_.delete_layer_version(LayerName="l", VersionNumber=2)
    assert await lambda_.refused("get_layer_version", LayerName="l", VersionNumber=2) == MISSING
    assert [each["Version"] for each in (await lambda_.list_layer_versions(LayerName="l"))["LayerVersions"]] == [1]
    assert (await lambda_.list_layers())["Layers"][0]["LatestMatchingVersion"]["Version"] == 1
    await lambda_.delete_layer_version(LayerName="l", VersionNumber=1)
    assert (await lambda_.list_layers())["Layers"] == []


async def test_lists_filter_by_runtime_and_architecture(lambda_: Lambda) -> None:
    await publish(lambda_, "b", CompatibleRuntimes=["python3.12"], CompatibleArchitectures=["x86_64"])
    await publish(lambda_, "b", CompatibleRuntimes=["python3.13"], CompatibleArchitectures=["x86_64", "arm64"])
    await publish(lambda_, "a")

    async def layers(**filters: str) -> list[tuple[str, int]]:
        found = (await lambda_.list_layers(**filters))["Layers"]
        return [(each["LayerName"], each["LatestMatchingVersion"]["Version"]) for each in found]

    async def versions(**filters: str) -> list[int]:
        found = (await lambda_.list_layer_versions(LayerName="b", **filters))["LayerVersions"]
        return [each["Version"] for each in found]

    assert await layers() == [("a", 1), ("b", 2)]
    assert await layers(CompatibleRuntime="python3.12") == [("b", 1)]
    assert await layers(CompatibleArchitecture="x86_64") == [("b", 2)]
    assert await layers(CompatibleRuntime="python3.12", CompatibleArchitecture="arm64") == []
    assert await versions() == [2, 1]
    assert await versions(CompatibleRuntime="python3.12") == [1]
    assert await versions(CompatibleArchitecture="arm64") == [2]


async def test_lists_come_in_pages(lambda_: Lambda) -> None:
    for name in ("a", "b", "c"):
        await publish(lambda_, name)
        await publish(lambda_, "a")
    pages = await lambda_.pages("list_layers", PaginationConfig={"PageSize": 2})
    assert [[each["LayerName"] for each in page["Layers"]] for page in pages] == [["a", "b"], ["c"]]
    pages = await lambda_.pages("list_layer_versions", LayerName="a", PaginationConfig={"PageSize": 3})
    assert [[each["Version"] for each in page["LayerVersions"]] for page in pages] == [[4, 3, 2], [1]]


@pytest.mark.parametrize("quotas", [Quotas(max_zipped_bytes=1000, max_unzipped_bytes=5000)])
async def test_what_is_too_large_is_refused(lambda_: Lambda) -> None:
    refused = await lambda_.refused("publish_layer_version", LayerName="l", Content={"ZipFile": b"x" * 1000})
    assert refused == (413, "RequestEntityTooLargeException", "Zipped size must be smaller than 1000 bytes")
    large = archive({"a": "x" * 5000})
    refused = await lambda_.refused("publish_layer_version", LayerName="l", Content={"ZipFile": large})
    assert refused == (400, IPV, "Unzipped size must be smaller than 5000 bytes")


@pytest.mark.parametrize("quotas", [Quotas(max_code_storage_bytes=2 * len(content()["ZipFile"]))])
async def test_layers_count_as_stored_code(lambda_: Lambda) -> None:
    await publish(lambda_, "a")
    await publish(lambda_, "b")
    refused = await lambda_.refused("publish_layer_version", LayerName="c", Content=content())
    assert refused == (400, "CodeStorageExceededException", "Code storage limit exceeded.")
    assert (await lambda_.refused("create_function", **creation("f")))[1] == "CodeStorageExceededException"


async def test_a_refused_archive_leaves_nothing_and_takes_no_number(lambda_: Lambda) -> None:
    status, code, text = await lambda_.refused("publish_layer_version", LayerName="l", Content={"ZipFile": b"nothing"})
    assert (status, code) == (400, IPV)
    assert text == "Could not unzip uploaded file. Please check your file, then try to upload again."
    assert (await lambda_.list_layers())["Layers"] == []
    assert (await publish(lambda_))["Version"] == 1


async def test_an_archive_comes_from_s3(lambda_: Lambda, neighbours: ScriptedCaller) -> None:
    neighbours.answers["s3", "GetObject"] = {"Body": content()["ZipFile"]}
    source = {"S3Bucket": "bucket", "S3Key": "key", "S3ObjectVersion": "v1"}
    from_s3 = await lambda_.publish_layer_version(LayerName="l", Content=source)
    assert from_s3["Content"]["CodeSha256"] == (await publish(lambda_))["Content"]["CodeSha256"]
    (read,) = (asked for asked in neighbours.asked if asked.operation == "GetObject")
    assert read.parameters["VersionId"] == "v1"


async def test_content_without_a_source_is_refused(lambda_: Lambda) -> None:
    assert (await lambda_.refused("publish_layer_version", LayerName="l", Content={}))[:2] == (400, IPV)
    both = {**content(), "S3Bucket": "bucket", "S3Key": "key"}
    assert (await lambda_.refused("publish_layer_version", LayerName="l", Content=both))[:2] == (400, IPV)
    by_reference = {"S3Bucket": "bucket", "S3Key": "key", "S3ObjectStorageMode": "REFERENCE"}
    refused = await lambda_.refused("publish_layer_version", LayerName="l", Content=by_reference)
    assert refused == (400, IPV, "Content.S3ObjectStorageMode REFERENCE is not supported by Lambent yet.")
