"""GetFunction, ListFunctions, GetAccountSettings."""

from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from lambent.aws.errors import ApiError
from lambent.functions.control_plane import ControlPlane
from lambent.functions.quotas import Quotas
from lambent.testing.aws_client import aws_client
from tests.contract.functions.conftest import ACCOUNT, ARN, Lambda
from tests.unit.functions.conftest import package

STATE = {"State", "StateReason", "StateReasonCode", "LastUpdateStatus", "RuntimeVersionConfig"}


async def test_get_function_gives_a_url_of_its_code(lambda_: Lambda, plane: ControlPlane) -> None:
    await lambda_.create()
    reply = await lambda_.get_function(FunctionName="f")
    assert reply["Code"]["RepositoryType"] == "S3"
    assert {"Tags", "Concurrency"}.isdisjoint(reply)
    url = urlsplit(reply["Code"]["Location"])
    assert (url.scheme, url.netloc) == ("http", "localhost:4566")
    assert url.path == f"/_lambent/code/{ACCOUNT}/us-east-1/f/%24LATEST"
    query = dict(parse_qsl(url.query))
    assert plane.code_archive(unquote(url.path), query).read_bytes() == package("1")
    for other in ({"signature": "0" * 64}, {"expires": query["expires"] + "0"}, {"code": "0" * 64}):
        with pytest.raises(ApiError, match="signature"):
            plane.code_archive(unquote(url.path), query | other)


async def test_lists_leave_out_the_state(lambda_: Lambda) -> None:
    """As AWS was seen to answer; Terraform shows differences otherwise."""
    await lambda_.created(Publish=True)
    listed = (await lambda_.list_functions())["Functions"]
    assert [f["FunctionArn"] for f in listed] == [ARN + "f"]
    assert STATE.isdisjoint(listed[0])


async def test_a_list_of_all_versions_has_qualified_arns(lambda_: Lambda) -> None:
    await lambda_.create(Publish=True)
    listed = (await lambda_.list_functions(FunctionVersion="ALL"))["Functions"]
    assert [f["FunctionArn"] for f in listed] == [ARN + "f:$LATEST", ARN + "f:1"]


async def test_another_value_than_all_is_a_validation_error(lambda_: Lambda) -> None:
    status, code, message = await lambda_.refused("list_functions", FunctionVersion="$LATEST")
    assert (status, code) == (400, "ValidationException")
    assert "'functionVersion'" in message


class TestPages:
    @pytest.fixture
    def quotas(self) -> Quotas:
        return Quotas(page_size=2)

    async def test_pages_hold_every_function_once_and_no_more_than_the_cap(self, lambda_: Lambda) -> None:
        for name in "edcba":
            await lambda_.create(name)
        pages = await lambda_.client.pages("list_functions", PaginationConfig={"PageSize": 100})
        assert [[f["FunctionName"] for f in page["Functions"]] for page in pages] == [["a", "b"], ["c", "d"], ["e"]]
        assert "NextMarker" not in pages[-1]

    async def test_a_marker_of_nobody_is_refused(self, lambda_: Lambda) -> None:
        assert (await lambda_.refused("list_functions", Marker="%%%"))[1] == "InvalidParameterValueException"


async def test_accounts_and_regions_do_not_see_each_other(lambda_: Lambda, plane: ControlPlane) -> None:
    await lambda_.create()
    for account, region in (("999999999999", "us-east-1"), (ACCOUNT, "eu-west-1")):
        async with aws_client("lambda", plane.operations(), account=account, region=region) as other:
            assert (await other.list_functions())["Functions"] == []


async def test_account_settings_count_functions_and_code(lambda_: Lambda) -> None:
    await lambda_.create(Publish=True)
    reply = await lambda_.get_account_settings()
    assert reply["AccountLimit"] == {
        "TotalCodeSize": 80530636800,
        "CodeSizeUnzipped": 262144000,
        "CodeSizeZipped": 52428800,
        "ConcurrentExecutions": 1000,
        "UnreservedConcurrentExecutions": 1000,
    }
    assert reply["AccountUsage"] == {"TotalCodeSize": 2 * len(package("1")), "FunctionCount": 1}
