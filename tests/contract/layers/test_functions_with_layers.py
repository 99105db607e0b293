"""`Layers` of functions (spec of the API, 1.3, 1.5 and 1.6)."""

from typing import Any

import pytest

from lambent.functions.control_plane import ControlPlane
from lambent.functions.quotas import Quotas
from tests.contract.functions.conftest import Lambda
from tests.contract.layers.conftest import LAYER, archive, content, publish
from tests.unit.functions.conftest import creation

IPV = "InvalidParameterValueException"
ELSEWHERE = LAYER.replace("us-east-1", "eu-west-1") + "l:1"


async def test_a_function_tells_its_layers_in_their_order(lambda_: Lambda) -> None:
    for name in ("a", "b"):
        await publish(lambda_, name)
    size = len(content()["ZipFile"])
    expected = [{"Arn": LAYER + "b:1", "CodeSize": size}, {"Arn": LAYER + "a:1", "CodeSize": size}]
    created = await lambda_.create(Layers=[LAYER + "b:1", LAYER + "a:1"])
    assert created["Layers"] == expected
    got = await lambda_.created("g", Layers=[LAYER + "b:1", LAYER + "a:1"])
    assert got["Layers"] == expected
    listed = (await lambda_.list_functions())["Functions"]
    assert [each["Layers"] for each in listed] == [expected, expected]


async def test_a_function_without_layers_has_no_such_member(lambda_: Lambda) -> None:
    assert "Layers" not in await lambda_.created(Layers=[])


REFUSED: list[tuple[list[str], str]] = [
    ([LAYER + f"l{number}:1" for number in range(6)], "Cannot reference more than 5 layers."),
    (
        [LAYER + "l:1", LAYER + "l:2"],
        "Two different versions of the same layer are not allowed to be referenced in the same function."
        f" {LAYER}l:1 and {LAYER}l:2 are versions of the same layer.",
    ),
    (
        [LAYER + "l:1", LAYER + "l:1"],
        "Two different versions of the same layer are not allowed to be referenced in the same function."
        f" {LAYER}l:1 and {LAYER}l:1 are versions of the same layer.",
    ),
    ([LAYER + "l:9"], f"Layer version {LAYER}l:9 does not exist."),
    ([LAYER + "nothing:1"], f"Layer version {LAYER}nothing:1 does not exist."),
    ([LAYER + "l:0"], "Layer Version Cannot be less than 1"),
    (
        [ELSEWHERE],
        "Layers are not in the same region as the function. Layers are expected to be in region us-east-1.",
    ),
]


@pytest.mark.parametrize(("layers", "text"), REFUSED)
async def test_layers_are_refused_in_the_words_of_aws(lambda_: Lambda, layers: list[str], text: str) -> None:
    await publish(lambda_)
    await publish(lambda_)
    assert await lambda_.refused("create_function", **creation("f") | {"Layers": layers}) == (400, IPV, text)
    before = await lambda_.created()
    refused = await lambda_.refused("update_function_configuration", FunctionName="f", Layers=layers)
    assert refused == (400, IPV, text)
    after = await lambda_.get_function_configuration(FunctionName="f")
    assert after["RevisionId"] == before["RevisionId"]


async def test_layers_are_replaced_kept_and_cleared(lambda_: Lambda) -> None:
    for name in ("a", "b"):
        await publish(lambda_, name)

    async def after(**changes: Any) -> list[str]:
        await lambda_.update_function_configuration(FunctionName="f", **changes)
        return [layer["Arn"] for layer in (await lambda_.updated()).get("Layers", [])]

    await lambda_.created(Layers=[LAYER + "a:1"])
    assert await after(Timeout=7) == [LAYER + "a:1"]
    assert await after(Layers=[LAYER + "b:1"]) == [LAYER + "b:1"]
    assert await after(Layers=[]) == []


async def test_new_layers_are_worth_a_new_version(lambda_: Lambda) -> None:
    await publish(lambda_)
    await lambda_.created()
    assert (await lambda_.publish_version(FunctionName="f"))["Version"] == "1"
    await lambda_.update_function_configuration(FunctionName="f", Layers=[LAYER + "l:1"])
    await lambda_.updated()
    assert (await lambda_.publish_version(FunctionName="f"))["Version"] == "2"
    assert (await lambda_.publish_version(FunctionName="f"))["Version"] == "2"
    first = await lambda_.get_function(FunctionName="f", Qualifier="1")
    second = await lambda_.get_function(FunctionName="f", Qualifier="2")
    assert "Layers" not in first["Configuration"]
    assert second["Configuration"]["Layers"][0]["Arn"] == LAYER + "l:1"


@pytest.mark.parametrize("quotas", [Quotas(max_unzipped_bytes=5000)])
async def test_function_and_layers_together_have_one_limit(lambda_: Lambda) -> None:
    def of(size: int) -> bytes:
        return archive({"app.py": "#" * size})

    text = "Unzipped size must be smaller than 5000 bytes"
    for name in ("a", "b"):
        await lambda_.publish_layer_version(LayerName=name, Content={"ZipFile": of(2000)})
    both = [LAYER + "a:1", LAYER + "b:1"]
    creation_ = creation("f", of(1000)) | {"Layers": both}
    assert await lambda_.refused("create_function", **creation_) == (400, IPV, text)
    await lambda_.created(Code={"ZipFile": of(999)}, Layers=both)
    for dry in (True, False):
        sent = {"FunctionName": "f", "ZipFile": of(1000), "DryRun": dry}
        assert await lambda_.refused("update_function_code", **sent) == (400, IPV, text)
    await lambda_.created("g", Code={"ZipFile": of(1000)}, Layers=[LAYER + "a:1"])
    refused = await lambda_.refused("update_function_configuration", FunctionName="g", Layers=both)
    assert refused == (400, IPV, text)


async def test_a_deleted_layer_version_stays_with_those_who_use_it(lambda_: Lambda, plane: ControlPlane) -> None:
    published = await publish(lambda_)
    await lambda_.created(Layers=[LAYER + "l:1"])
    await lambda_.delete_layer_version(LayerName="l", VersionNumber=1)
    (layer,) = plane.read_model.region("123456789012", "us-east-1")[0].latest.layers
    assert await plane.packages.collect(plane._referenced) == 0
    assert plane.packages.archive(layer.code.sha256).exists()
    # Also over an update that is about something else.
    await lambda_.update_function_configuration(FunctionName="f", Timeout=9)
    assert (await lambda_.updated())["Layers"][0]["Arn"] == published["LayerVersionArn"]
    refused = await lambda_.refused("create_function", **creation("g") | {"Layers": [LAYER + "l:1"]})
    assert refused == (400, IPV, f"Layer version {LAYER}l:1 does not exist.")
    await lambda_.delete_function(FunctionName="f")
    await plane.packages.collect(plane._referenced)
    assert not plane.packages.archive(layer.code.sha256).exists()
