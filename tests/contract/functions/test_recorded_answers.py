"""Answers of AWS that are recorded and belong to several operations (spec of the API, 1.0, 1.3, 1.4 and 1.5)."""

import io
import zipfile
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambent.testing.runtime_support import FakeRuntimeSupport
from tests.contract.functions.conftest import ACCOUNT, ARN, Lambda
from tests.unit.functions.conftest import creation, package

IPV = "InvalidParameterValueException"
RNF = "ResourceNotFoundException"
CONSTRAINT = "failed to satisfy constraint: Member must"

INVALID: list[tuple[str, dict[str, Any], str]] = [
    (
        "get_function",
        {"FunctionName": "f", "Qualifier": ""},
        f"2 validation errors detected: Value '' at 'qualifier' {CONSTRAINT} have length greater than or equal to 1;"
        f" Value '' at 'qualifier' {CONSTRAINT} satisfy regular expression pattern: ",
    ),
    (
        "update_function_configuration",
        {"FunctionName": "f", "Timeout": 0, "MemorySize": 127},
        f"2 validation errors detected: Value '0' at 'timeout' {CONSTRAINT} have value greater than or equal to 1;"
        f" Value '127' at 'memorySize' {CONSTRAINT} have value greater than or equal to 128",
    ),
    (
        "update_function_configuration",
        {"FunctionName": "f", "TracingConfig": {"Mode": "On"}},
        f"1 validation error detected: Value 'On' at 'tracingConfig.mode' {CONSTRAINT} satisfy enum value set:"
        " [Active, PassThrough]",
    ),
    (
        "update_function_configuration",
        {"FunctionName": "f", "Description": "x" * 257},
        f"1 validation error detected: Value '{'x' * 257}' at 'description' {CONSTRAINT} have length less than or equal"
        " to 256",
    ),
    (
        "update_function_code",
        {"FunctionName": "f", "Architectures": ["x86"]},
        f"1 validation error detected: Value '[x86]' at 'architectures' {CONSTRAINT} satisfy constraint: [Member must"
        " satisfy enum value set: [x86_64, arm64], Member must not be null]",
    ),
    (
        "create_alias",
        {
            "FunctionName": "f",
            "Name": "a",
            "FunctionVersion": "1",
            "RoutingConfig": {"AdditionalVersionWeights": {"2": 2}},
        },
        "1 validation error detected: Value '{2=2.0}' at 'routingConfig.additionalVersionWeights' failed to satisfy"
        " constraint: Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must"
        " have value greater than or equal to 0.0, Member must not be null]",
    ),
    (
        "create_alias",
        {"FunctionName": "f", "Name": "a"},
        f"1 validation error detected: Value null at 'functionVersion' {CONSTRAINT} not be null",
    ),
]


@pytest.mark.parametrize(
    ("operation", "parameters", "text"), INVALID, ids=[f"1.0 {row[0]}-{n}" for n, row in enumerate(INVALID)]
)
async def test_failed_constraints_are_told_in_the_words_of_aws(
    lambda_: Lambda, operation: str, parameters: dict[str, Any], text: str
) -> None:
    status, code, message = await lambda_.refused(operation, **parameters)
    assert (status, code) == (400, "ValidationException")
    assert message.startswith(text)


async def test_an_archive_of_50_mb_is_too_large_1_0(lambda_: Lambda) -> None:
    request = creation("f") | {"Code": {"ZipFile": bytes(52_428_800)}}
    assert await lambda_.refused("create_function", **request) == (
        413,
        "RequestEntityTooLargeException",
        "Zipped size must be smaller than 52428800 bytes",
    )


async def test_contents_of_250_mb_are_too_large_1_3(lambda_: Lambda) -> None:
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("zeros", "w") as file,
    ):
        for _ in range(250):
            file.write(bytes(1024 * 1024))
    request = creation("f") | {"Code": {"ZipFile": buffer.getvalue()}}
    assert await lambda_.refused("create_function", **request) == (
        400,
        IPV,
        "Unzipped size must be smaller than 262144000 bytes",
    )


async def test_the_beginning_of_an_update_says_that_the_function_is_being_created_1_4(lambda_: Lambda) -> None:
    """Behaviour 5 of the list."""
    await lambda_.created()
    for operation, members in (
        ("update_function_configuration", {"Timeout": 5}),
        ("update_function_code", {"ZipFile": package("2")}),
    ):
        reply = await getattr(lambda_, operation)(FunctionName="f", **members)
        assert reply["State"] == "Active"
        assert {name: reply[name] for name in reply if name.startswith("LastUpdate")} == {
            "LastUpdateStatus": "InProgress",
            "LastUpdateStatusReason": "The function is being created.",
            "LastUpdateStatusReasonCode": "Creating",
        }
        settled = await lambda_.updated()
        assert {name for name in settled if name.startswith(("State", "LastUpdate"))} == {"State", "LastUpdateStatus"}


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("update_function_configuration", {"FunctionName": "f", "Timeout": 6}),
        ("update_function_code", {"FunctionName": "f", "ZipFile": package("3")}),
        ("publish_version", {"FunctionName": "f"}),
        ("tag_resource", {"Resource": ARN + "f", "Tags": {"a": "b"}}),
    ],
    ids=lambda value: f"1.4 {value}" if isinstance(value, str) else "",
)
async def test_an_update_under_way_refuses_the_next_change(
    lambda_: Lambda, support: FakeRuntimeSupport, operation: str, members: dict[str, Any]
) -> None:
    """Behaviour 6 of the list."""
    await lambda_.created()
    support.hold()
    await lambda_.update_function_configuration(FunctionName="f", Timeout=5)
    assert await lambda_.refused(operation, **members) == (
        409,
        "ResourceConflictException",
        f"The operation cannot be performed at this time. An update is in progress for resource: {ARN}f",
    )


async def test_what_changes_the_revision_and_what_does_not_1_5(lambda_: Lambda) -> None:
    """Behaviour 3 of the list."""

    async def revision() -> str:
        reply: str = (await lambda_.get_function_configuration(FunctionName="f"))["RevisionId"]
        return reply

    created = (await lambda_.create())["RevisionId"]
    await lambda_.wait("function_active_v2", FunctionName="f")
    active = await revision()
    begun = (await lambda_.update_function_configuration(FunctionName="f", Timeout=5))["RevisionId"]
    await lambda_.updated()
    ended = await revision()
    await lambda_.publish_version(FunctionName="f")
    published = await revision()
    assert len({created, active, begun, ended, published}) == 5

    await lambda_.publish_version(FunctionName="f")
    await lambda_.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    await lambda_.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=1)
    assert await revision() == published


async def raw(lambda_: Lambda, operation: str, **parameters: Any) -> dict[str, Any]:
    with pytest.raises(ClientError) as failure:
        await getattr(lambda_.client, operation)(**parameters)
    response: dict[str, Any] = failure.value.response
    return response


async def test_a_few_errors_have_no_type(lambda_: Lambda) -> None:
    """1.5, 1.8 and 1.11: those that were recorded without one, beside their like that have one."""
    await lambda_.created(Publish=True)
    weights = {"AdditionalVersionWeights": {"1": 0.5}}
    alias = {"FunctionName": "f", "Name": "live", "RoutingConfig": weights}
    two = await raw(lambda_, "create_alias", **alias, FunctionVersion="$LATEST")
    assert two["message"] == "$LATEST is not supported for an alias pointing to more than 1 version"
    floor = await raw(lambda_, "put_function_concurrency", FunctionName="f", ReservedConcurrentExecutions=901)
    qualified = {"FunctionName": "f", "Qualifier": "1"}
    more = await raw(lambda_, "put_provisioned_concurrency_config", **qualified, ProvisionedConcurrentExecutions=1001)
    rest = await raw(lambda_, "put_provisioned_concurrency_config", **qualified, ProvisionedConcurrentExecutions=901)
    gone = f"arn:aws:lambda:us-east-1:{ACCOUNT}:code-signing-config:csc-0123456789abcdef0"
    config = await raw(lambda_, "get_code_signing_config", CodeSigningConfigArn=gone)
    assert not [error for error in (two, floor, more, rest, config) if "Type" in error]
    same = await raw(lambda_, "create_alias", **alias, FunctionVersion="1")
    bound = await raw(lambda_, "put_function_code_signing_config", FunctionName="f", CodeSigningConfigArn=gone)
    assert (same["Type"], bound["Type"]) == ("User", "User")


async def test_the_url_of_an_alias_that_is_not_there_cannot_be_updated_1_9(lambda_: Lambda) -> None:
    await lambda_.created()
    parameters = {"FunctionName": "f", "Qualifier": "nope", "AuthType": "NONE"}
    assert await lambda_.refused("update_function_url_config", **parameters) == (404, RNF, "Function does not exist")
    for operation in ("get_function_url_config", "delete_function_url_config"):
        refused = await lambda_.refused(operation, FunctionName="f", Qualifier="nope")
        assert refused == (404, RNF, "The resource you requested does not exist.")


async def test_layers_tell_bad_runtimes_and_architectures_in_their_own_form_1_6(lambda_: Lambda) -> None:
    status, code, message = await lambda_.refused(
        "publish_layer_version",
        LayerName="l",
        Content={"ZipFile": package("l")},
        CompatibleRuntimes=["a", "python3.12"],
        CompatibleArchitectures=["b", "x86_64"],
    )
    assert (status, code) == (400, "ValidationException")
    runtimes, architectures = message.split("; ")
    assert runtimes.startswith(
        "2 validation errors detected: Value '[a, python3.12]' at 'compatibleRuntimes' failed to satisfy constraint:"
        " Member must satisfy enum value set: [nodejs"
    )
    assert architectures == (
        "Value '[b, x86_64]' at 'compatibleArchitectures' failed to satisfy constraint: Member must satisfy"
        " constraint: [Member must satisfy enum value set: [x86_64, arm64]]"
    )


async def test_a_list_has_at_most_fifty_entries_on_a_page_1_0(lambda_: Lambda) -> None:
    """Whatever is asked for."""
    for number in range(51):
        await lambda_.create(f"f{number:02}")
    page = await lambda_.list_functions(MaxItems=10_000)
    assert len(page["Functions"]) == 50
    rest = await lambda_.list_functions(MaxItems=10_000, Marker=page["NextMarker"])
    assert [each["FunctionName"] for each in rest["Functions"]] == ["f50"]
    assert "NextMarker" not in rest


async def test_the_settings_of_the_account_count_layers_as_code(lambda_: Lambda) -> None:
    """1.12: they share one limit."""
    await lambda_.create()
    before = (await lambda_.get_account_settings())["AccountUsage"]["TotalCodeSize"]
    layer = await lambda_.publish_layer_version(LayerName="l", Content={"ZipFile": package("layer")})
    after = (await lambda_.get_account_settings())["AccountUsage"]["TotalCodeSize"]
    assert after - before == layer["Content"]["CodeSize"]


async def test_the_invoke_configuration_of_a_version_or_an_alias_goes_with_it(lambda_: Lambda) -> None:
    """1.3 and 1.10: nothing of it comes back with an alias of the same name."""
    await lambda_.created(Publish=True)
    await lambda_.create_alias(FunctionName="f", Name="live", FunctionVersion="$LATEST")
    for qualifier in ("1", "live"):
        await lambda_.put_function_event_invoke_config(FunctionName="f", Qualifier=qualifier, MaximumRetryAttempts=0)
    await lambda_.delete_function(FunctionName="f", Qualifier="1")
    await lambda_.delete_alias(FunctionName="f", Name="live")
    await lambda_.create_alias(FunctionName="f", Name="live", FunctionVersion="$LATEST")
    listed = await lambda_.list_function_event_invoke_configs(FunctionName="f")
    assert listed["FunctionEventInvokeConfigs"] == []
    refused = await lambda_.refused("get_function_event_invoke_config", FunctionName="f", Qualifier="live")
    assert refused == (404, RNF, f"The function {ARN}f:live doesn't have an EventInvokeConfig")


async def test_a_network_that_was_cleared_is_told_as_empty_1_3(lambda_: Lambda) -> None:
    """Absent while nobody sent one; Terraform sends an empty one to take a function out of its network."""
    empty = {"SubnetIds": [], "SecurityGroupIds": [], "VpcId": "", "Ipv6AllowedForDualStack": False}
    assert "VpcConfig" not in await lambda_.created(Publish=True)
    sent: dict[str, Any] = {"SubnetIds": [], "SecurityGroupIds": []}
    reply = await lambda_.update_function_configuration(FunctionName="f", VpcConfig=sent)
    assert reply["VpcConfig"] == empty
    assert (await lambda_.updated())["VpcConfig"] == empty
    assert (await lambda_.list_functions())["Functions"][0]["VpcConfig"] == empty
    assert (await lambda_.publish_version(FunctionName="f"))["Version"] == "1"
    assert (await lambda_.create("g", VpcConfig=sent))["VpcConfig"] == empty


@pytest.mark.parametrize("action", ["lambda:Foo", "lambda:CreateFunction", "lambda:InvokeAsync"])
async def test_a_permission_that_could_never_let_anybody_in_is_refused_1_7(lambda_: Lambda, action: str) -> None:
    """The words are ours."""
    await lambda_.create()
    grant = {"FunctionName": "f", "StatementId": "s", "Principal": "s3.amazonaws.com", "Action": action}
    assert await lambda_.refused("add_permission", **grant) == (
        400,
        IPV,
        f"The action {action} cannot be allowed by the policy of a function.",
    )
    assert (await lambda_.refused("get_policy", FunctionName="f"))[1] == RNF
