"""Which version an alias runs."""

import base64
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.invocation.conftest import ARN, Functions


async def two_versions(functions: Functions, **alias: Any) -> None:
    """Versions 1 and 2 of f, and the alias live."""
    await functions.create(Publish=True)
    await functions.client.update_function_configuration(FunctionName="f", Timeout=9)
    await functions.client.wait("function_updated_v2", FunctionName="f")
    await functions.client.publish_version(FunctionName="f")
    await functions.client.create_alias(**({"FunctionName": "f", "Name": "live", "FunctionVersion": "1"} | alias))


async def executed(functions: Functions, **parameters: Any) -> str:
    reply = await functions.invoke(Qualifier="live", **parameters)
    return str(reply["ExecutedVersion"])


async def test_an_alias_runs_its_version_and_says_which(functions: Functions) -> None:
    await two_versions(functions)
    assert await executed(functions) == "1"
    await functions.client.update_alias(FunctionName="f", Name="live", FunctionVersion="2")
    assert await executed(functions) == "2"
    await functions.client.update_alias(FunctionName="f", Name="live", FunctionVersion="$LATEST")
    assert await executed(functions) == "$LATEST"


async def test_weights_are_drawn_for_each_invocation(functions: Functions) -> None:
    """The weight is the share of the additional version; a number below it is its."""
    await two_versions(functions, RoutingConfig={"AdditionalVersionWeights": {"2": 0.25}})
    functions.draws += [0.0, 0.24, 0.25, 0.99, 0.1]
    assert [await executed(functions) for _ in range(5)] == ["2", "2", "1", "1", "2"]


@pytest.mark.parametrize(("weight", "version"), [(0.0, "1"), (1.0, "2")])
async def test_the_ends_of_the_scale_are_certain(functions: Functions, weight: float, version: str) -> None:
    await two_versions(functions, RoutingConfig={"AdditionalVersionWeights": {"2": weight}})
    functions.draws += [0.0, 0.999_999]
    assert [await executed(functions) for _ in range(2)] == [version] * 2


async def test_the_start_line_shows_the_version_that_was_drawn(functions: Functions) -> None:
    await two_versions(functions, RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}})
    for draw, version in ((0.1, "2"), (0.9, "1")):
        functions.draws.append(draw)
        reply = await functions.invoke(Qualifier="live", LogType="Tail")
        assert reply["ExecutedVersion"] == version
        assert f" Version: {version}\n" in base64.b64decode(reply["LogResult"]).decode()


@pytest.mark.parametrize("form", [{"Qualifier": "nope"}, {"FunctionName": "f:nope"}, {"FunctionName": ARN + "f:nope"}])
async def test_a_missing_alias_is_named(functions: Functions, form: dict[str, str]) -> None:
    await functions.create()
    with pytest.raises(ClientError) as failure:
        await functions.invoke(**form)
    error = failure.value.response["Error"]
    assert (error["Code"], error["Message"]) == ("ResourceNotFoundException", f"Function not found: {ARN}f:nope")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (ARN + "nope", f"Function not found: {ARN}nope:$LATEST"),
        (ARN + "nope:live", f"Function not found: {ARN}nope:live"),
        (ARN.removesuffix(":"), f"Function not found: {ARN}function:$LATEST"),
    ],
)
async def test_what_is_not_there_is_named_as_invoke_does(functions: Functions, name: str, message: str) -> None:
    """Spec 1.2; an ARN that ends in `function` means a function of that name."""
    with pytest.raises(ClientError) as failure:
        await functions.invoke(FunctionName=name)
    assert failure.value.response["Error"]["Message"] == message
