"""Code signing (spec 1, section 1.11): configurations, what binds them to functions, and real signatures.

Lines marked "seen at AWS" are recorded there.
"""

import io
import json
import logging
import re
import zipfile
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from lambent.functions.control_plane import ControlPlane
from lambent.functions.signing.manifest import PATH, PrivateKey
from lambent.functions.signing.manifest import sign as sign_package
from lambent.testing.aws_client import aws_client
from lambent.testing.runtime_support import FakeRuntimeSupport
from tests.contract.functions.conftest import ACCOUNT, ARN, Lambda
from tests.planes import opened

PROFILE = f"arn:aws:signer:us-east-1:{ACCOUNT}:/signing-profiles/mine/abc123"
OTHER = f"arn:aws:signer:us-east-1:{ACCOUNT}:/signing-profiles/other/abc123"
WITHOUT_KEY = f"arn:aws:signer:us-east-1:{ACCOUNT}:/signing-profiles/unknown/abc123"
JOB = f"arn:aws:signer:us-east-1:{ACCOUNT}:/signing-jobs/0a"
MISSING = f"arn:aws:lambda:us-east-1:{ACCOUNT}:code-signing-config:csc-0123456789abcdef0"
KEYS: dict[str, PrivateKey] = {
    PROFILE: ed25519.Ed25519PrivateKey.generate(),
    OTHER: ec.generate_private_key(ec.SECP384R1()),
}


@pytest.fixture
async def plane(tmp_path: Path, support: FakeRuntimeSupport) -> AsyncIterator[ControlPlane]:
    """One that knows the keys of two profiles."""
    keys = {arn: key.public_key() for arn, key in KEYS.items()}
    async with opened(tmp_path / "data", support=support, signing_profiles=keys) as server:
        yield server.plane


def package(**sources: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, text in (sources or {"app.py": "def handler(event, context): ..."}).items():
            file.writestr(name, text)
    return out.getvalue()


def signed(profile: str = PROFILE, key: PrivateKey | None = None) -> bytes:
    return sign_package(package(), profile, JOB, key or KEYS[profile], datetime(2026, 1, 2, tzinfo=UTC))


def changed(archive: bytes, change: Callable[[dict[str, bytes]], object]) -> bytes:
    with zipfile.ZipFile(io.BytesIO(archive)) as before:
        modes = {item.filename: item for item in before.infolist()}
        contents = {name: before.read(name) for name in before.namelist()}
    change(contents)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as after:
        for name, content in contents.items():
            after.writestr(modes.get(name, name), content)
    return out.getvalue()


async def config(lambda_: Lambda, *publishers: str, policy: str | None = None, **members: Any) -> Any:
    if policy is not None:
        members["CodeSigningPolicies"] = {"UntrustedArtifactOnDeployment": policy}
    publishing = {"SigningProfileVersionArns": list(publishers or (PROFILE,))}
    return (await lambda_.create_code_signing_config(AllowedPublishers=publishing, **members))["CodeSigningConfig"]


async def test_a_configuration_is_created_read_listed_updated_and_deleted(lambda_: Lambda) -> None:
    made = await config(lambda_, Description="mine")
    assert re.fullmatch(r"csc-[a-z0-9]{17}", made["CodeSigningConfigId"])
    assert made["CodeSigningConfigArn"].endswith(f":{ACCOUNT}:code-signing-config:{made['CodeSigningConfigId']}")
    assert made["CodeSigningPolicies"] == {"UntrustedArtifactOnDeployment": "Warn"}
    assert (made["Description"], made["AllowedPublishers"]) == ("mine", {"SigningProfileVersionArns": [PROFILE]})
    arn = made["CodeSigningConfigArn"]
    assert (await lambda_.get_code_signing_config(CodeSigningConfigArn=arn))["CodeSigningConfig"] == made
    policy = {"UntrustedArtifactOnDeployment": "Enforce"}
    updated = await lambda_.update_code_signing_config(CodeSigningConfigArn=arn, CodeSigningPolicies=policy)
    assert updated["CodeSigningConfig"]["CodeSigningPolicies"] == policy
    assert updated["CodeSigningConfig"]["Description"] == "mine"
    assert updated["CodeSigningConfig"]["LastModified"] >= made["LastModified"]
    others = sorted([arn, *[(await config(lambda_))["CodeSigningConfigArn"] for _ in range(2)]])
    first = await lambda_.list_code_signing_configs(MaxItems=2)
    rest = await lambda_.list_code_signing_configs(Marker=first["NextMarker"])
    listed = [each["CodeSigningConfigArn"] for each in (*first["CodeSigningConfigs"], *rest["CodeSigningConfigs"])]
    assert listed == others
    deleted = await lambda_.delete_code_signing_config(CodeSigningConfigArn=arn)
    assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert (await lambda_.refused("get_code_signing_config", CodeSigningConfigArn=arn))[0] == 404


@pytest.mark.parametrize(
    "operation",
    [
        "get_code_signing_config",
        "update_code_signing_config",
        "delete_code_signing_config",
        "list_functions_by_code_signing_config",
    ],
)
async def test_a_missing_configuration(lambda_: Lambda, operation: str) -> None:
    """Seen at AWS: without a Type."""
    with pytest.raises(ClientError) as failure:
        await getattr(lambda_, operation)(CodeSigningConfigArn=MISSING)
    response = failure.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 404
    assert response["Error"]["Code"] == "ResourceNotFoundException"
    assert response["Error"]["Message"] == f"The Lambda code signing configuration {MISSING} can not be found."
    assert "Type" not in response


async def test_the_configuration_of_a_function_is_put_read_and_deleted(lambda_: Lambda) -> None:
    await lambda_.created()
    arn = (await config(lambda_))["CodeSigningConfigArn"]
    # Seen at AWS: 200 with neither member.
    nothing = await lambda_.get_function_code_signing_config(FunctionName="f")
    assert set(nothing) == {"ResponseMetadata"}
    put = await lambda_.put_function_code_signing_config(FunctionName="f", CodeSigningConfigArn=arn)
    assert (put["CodeSigningConfigArn"], put["FunctionName"]) == (arn, "f")
    got = await lambda_.get_function_code_signing_config(FunctionName=ARN + "f")
    assert (got["CodeSigningConfigArn"], got["FunctionName"]) == (arn, "f")
    listed = await lambda_.list_functions_by_code_signing_config(CodeSigningConfigArn=arn)
    assert listed["FunctionArns"] == [ARN + "f"]
    in_use = await lambda_.refused("delete_code_signing_config", CodeSigningConfigArn=arn)
    assert in_use[:2] == (409, "ResourceConflictException")
    for _ in range(2):
        # Seen at AWS: 204 also where nothing is attached.
        gone = await lambda_.delete_function_code_signing_config(FunctionName="f")
        assert gone["ResponseMetadata"]["HTTPStatusCode"] == 204
    await lambda_.delete_code_signing_config(CodeSigningConfigArn=arn)


async def test_a_missing_configuration_is_told_before_a_missing_function(lambda_: Lambda) -> None:
    """Seen at AWS: the order, the text, and the Type, which ResourceNotFoundException of a configuration has not."""
    text = (
        "The code signing configuration cannot be found. Check that the provided configuration is not deleted: "
        f"{MISSING}."
    )
    with pytest.raises(ClientError) as failure:
        await lambda_.put_function_code_signing_config(FunctionName="nobody", CodeSigningConfigArn=MISSING)
    response = failure.value.response
    assert response["Error"]["Code"] == "CodeSigningConfigNotFoundException"
    assert response["Error"]["Message"] == text
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 404
    assert response["Type"] == "User"
    arn = (await config(lambda_))["CodeSigningConfigArn"]
    missing = (404, "ResourceNotFoundException", f"Function not found: {ARN}nobody")
    parameters = {"FunctionName": "nobody", "CodeSigningConfigArn": arn}
    assert await lambda_.refused("put_function_code_signing_config", **parameters) == missing
    assert await lambda_.refused("get_function_code_signing_config", FunctionName="nobody") == missing
    assert await lambda_.refused("delete_function_code_signing_config", FunctionName="nobody") == missing
    # An ARN of another partition, or of none, is taken by the model.
    for other in (arn.replace("arn:aws:", "arn:aws-cn:"), arn.replace("arn:aws:", "arn::")):
        assert (await _creation_refused(lambda_, other, package()))[0] == 404
    created = await _creation_refused(lambda_, MISSING, package())
    assert created == (404, "CodeSigningConfigNotFoundException", text)


async def test_a_configuration_of_another_account_binds_nothing(lambda_: Lambda, plane: ControlPlane) -> None:
    arn = (await config(lambda_))["CodeSigningConfigArn"]
    text = "The code signing configuration cannot be found"
    async with aws_client("lambda", plane.operations(), account="999999999999") as other:
        code: dict[str, Any] = {"Runtime": "python3.12", "Handler": "app.handler", "Code": {"ZipFile": package()}}
        code["Role"] = "arn:aws:iam::999999999999:role/r"
        with pytest.raises(ClientError, match=text):
            await other.create_function(FunctionName="mine", CodeSigningConfigArn=arn, **code)
        await other.create_function(FunctionName="mine", **code)
        with pytest.raises(ClientError, match=text):
            await other.put_function_code_signing_config(FunctionName="mine", CodeSigningConfigArn=arn)
    await lambda_.delete_code_signing_config(CodeSigningConfigArn=arn)


async def _creation_refused(lambda_: Lambda, arn: str, archive: bytes) -> tuple[int, str, str]:
    with pytest.raises(ClientError) as failure:
        await lambda_.create(Code={"ZipFile": archive}, CodeSigningConfigArn=arn)
    response = failure.value.response
    assert (await lambda_.list_functions())["Functions"] == []
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"], response["Error"]["Message"]


async def test_a_function_takes_its_configuration_with_it(lambda_: Lambda) -> None:
    arn = (await config(lambda_))["CodeSigningConfigArn"]
    await lambda_.created(Code={"ZipFile": signed()}, CodeSigningConfigArn=arn)
    await lambda_.delete_function(FunctionName="f")
    assert (await lambda_.list_functions_by_code_signing_config(CodeSigningConfigArn=arn))["FunctionArns"] == []
    await lambda_.delete_code_signing_config(CodeSigningConfigArn=arn)


async def test_configurations_have_tags(lambda_: Lambda) -> None:
    arn = (await config(lambda_, Tags={"a": "1"}))["CodeSigningConfigArn"]
    await lambda_.tag_resource(Resource=arn, Tags={"b": "2"})
    await lambda_.untag_resource(Resource=arn, TagKeys=["a"])
    assert (await lambda_.list_tags(Resource=arn))["Tags"] == {"b": "2"}
    assert (await lambda_.refused("list_tags", Resource=MISSING))[:2] == (404, "ResourceNotFoundException")


async def test_configurations_are_those_of_the_account(plane: ControlPlane, lambda_: Lambda) -> None:
    arn = (await config(lambda_))["CodeSigningConfigArn"]
    async with aws_client("lambda", plane.operations(), account="999999999999") as other:
        stranger = Lambda(other)
        assert (await stranger.list_code_signing_configs())["CodeSigningConfigs"] == []
        assert (await stranger.refused("get_code_signing_config", CodeSigningConfigArn=arn))[0] == 404


@pytest.mark.parametrize("publishers", [[], [PROFILE] * 21, ["not an arn"]])
async def test_publishers_out_of_bounds_leave_nothing(lambda_: Lambda, publishers: list[str]) -> None:
    allowed = {"SigningProfileVersionArns": publishers}
    assert (await lambda_.refused("create_code_signing_config", AllowedPublishers=allowed))[0] == 400
    assert (await lambda_.list_code_signing_configs())["CodeSigningConfigs"] == []


@pytest.mark.parametrize("profile", [PROFILE, OTHER])
async def test_a_signed_package_is_accepted_and_told(lambda_: Lambda, profile: str) -> None:
    arn = (await config(lambda_, PROFILE, OTHER, policy="Enforce"))["CodeSigningConfigArn"]
    made = await lambda_.created(Code={"ZipFile": signed(profile)}, CodeSigningConfigArn=arn)
    assert (made["SigningProfileVersionArn"], made["SigningJobArn"]) == (profile, JOB)
    published = await lambda_.publish_version(FunctionName="f")
    assert published["SigningProfileVersionArn"] == profile


async def test_a_package_signed_by_rsa(lambda_: Lambda, plane: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    key = rsa.generate_private_key(65537, 2048)
    monkeypatch.setattr(plane._parts.signing, "_profiles", {PROFILE: key.public_key()})
    arn = (await config(lambda_, policy="Enforce"))["CodeSigningConfigArn"]
    made = await lambda_.created(Code={"ZipFile": signed(key=key)}, CodeSigningConfigArn=arn)
    assert made["SigningJobArn"] == JOB


def _other_member(contents: dict[str, bytes]) -> None:
    contents["new.py"] = b"x = 1"


def _other_content(contents: dict[str, bytes]) -> None:
    contents["app.py"] = b"def handler(event, context): return 'other'"


def _other_job(contents: dict[str, bytes]) -> None:
    contents[PATH] = json.dumps({**json.loads(contents[PATH]), "job": "arn:other"}).encode()


def _other_profile(contents: dict[str, bytes]) -> None:
    contents[PATH] = json.dumps({**json.loads(contents[PATH]), "profile": OTHER}).encode()


def _no_json(contents: dict[str, bytes]) -> None:
    contents[PATH] = b"{"


UNTRUSTED = {
    "unsigned": (package(), "it is not signed"),
    "by another profile": (signed(OTHER), f"it is signed by {OTHER}, which the configuration does not allow"),
    "by another key": (signed(PROFILE, ed25519.Ed25519PrivateKey.generate()), "its signature is not by the key of"),
    "another job": (changed(signed(), _other_job), "its signature is not by the key of"),
    "another profile": (changed(signed(), _other_profile), "which the configuration does not allow"),
}
TAMPERED = {
    "a file more": changed(signed(), _other_member),
    "a file less": changed(signed(), lambda contents: contents.pop("app.py")),
    "another content": changed(signed(), _other_content),
    "no manifest": changed(signed(), _no_json),
}


@pytest.mark.parametrize("case", UNTRUSTED)
async def test_enforce_refuses_what_is_not_trusted_and_leaves_nothing(lambda_: Lambda, case: str) -> None:
    archive, why = UNTRUSTED[case]
    arn = (await config(lambda_, policy="Enforce"))["CodeSigningConfigArn"]
    status, code, message = await _creation_refused(lambda_, arn, archive)
    assert (status, code) == (400, "CodeVerificationFailedException")
    assert why in message
    await lambda_.created(Code={"ZipFile": signed()}, CodeSigningConfigArn=arn)
    before = await lambda_.get_function_configuration(FunctionName="f")
    for dry in (True, False):
        refused = await lambda_.refused("update_function_code", FunctionName="f", ZipFile=archive, DryRun=dry)
        assert refused[1] == "CodeVerificationFailedException"
    after = await lambda_.get_function_configuration(FunctionName="f")
    assert (after["RevisionId"], after["CodeSha256"]) == (before["RevisionId"], before["CodeSha256"])


@pytest.mark.parametrize("case", UNTRUSTED)
async def test_warn_accepts_it_and_says_so_in_the_servers_log(
    lambda_: Lambda, caplog: pytest.LogCaptureFixture, case: str
) -> None:
    archive, why = UNTRUSTED[case]
    arn = (await config(lambda_))["CodeSigningConfigArn"]
    with caplog.at_level(logging.WARNING, "lambent.functions.signing"):
        made = await lambda_.created(Code={"ZipFile": archive}, CodeSigningConfigArn=arn)
    assert "SigningProfileVersionArn" not in made
    assert f"{ARN}f is deployed against its code signing configuration: " in caplog.text
    assert why in caplog.text


@pytest.mark.parametrize("policy", ["Warn", "Enforce"])
@pytest.mark.parametrize("case", TAMPERED)
async def test_what_was_changed_after_signing_is_refused_under_both(lambda_: Lambda, policy: str, case: str) -> None:
    arn = (await config(lambda_, policy=policy))["CodeSigningConfigArn"]
    refused = await _creation_refused(lambda_, arn, TAMPERED[case])
    assert refused[:2] == (400, "InvalidCodeSignatureException")


async def test_a_profile_without_a_key_here_names_the_setting(lambda_: Lambda) -> None:
    arn = (await config(lambda_, WITHOUT_KEY, policy="Enforce"))["CodeSigningConfigArn"]
    refused = await _creation_refused(lambda_, arn, signed(WITHOUT_KEY, KEYS[PROFILE]))
    assert refused[1] == "CodeVerificationFailedException"
    assert f"no key of {WITHOUT_KEY}" in refused[2]
    assert "[signing-profiles]" in refused[2]


async def test_a_configuration_concerns_what_comes_after_it(lambda_: Lambda) -> None:
    await lambda_.created()
    arn = (await config(lambda_, policy="Enforce"))["CodeSigningConfigArn"]
    await lambda_.put_function_code_signing_config(FunctionName="f", CodeSigningConfigArn=arn)
    assert (await lambda_.refused("update_function_code", FunctionName="f", ZipFile=package(a="1")))[0] == 400
    await lambda_.update_function_code(FunctionName="f", ZipFile=signed())
    assert (await lambda_.updated())["SigningProfileVersionArn"] == PROFILE
    await lambda_.delete_function_code_signing_config(FunctionName="f")
    await lambda_.update_function_code(FunctionName="f", ZipFile=package(a="1"))
    assert "SigningProfileVersionArn" not in await lambda_.updated()


async def test_images_are_not_signed(lambda_: Lambda) -> None:
    arn = (await config(lambda_))["CodeSigningConfigArn"]
    image = {"PackageType": "Image", "Code": {"ImageUri": "example.org/image:1"}, "CodeSigningConfigArn": arn}
    parameters = {"FunctionName": "f", "Role": "arn:aws:iam::123456789012:role/r", **image}
    refused = await lambda_.refused("create_function", **parameters)
    assert refused[:2] == (400, "InvalidParameterValueException")


async def test_configurations_outlive_a_restart_and_end_with_a_reset(plane: ControlPlane, lambda_: Lambda) -> None:
    made = await config(lambda_, policy="Enforce", Description="kept", Tags={"a": "b"})
    plane._parts.signing.configs.load()
    arn = made["CodeSigningConfigArn"]
    assert (await lambda_.get_code_signing_config(CodeSigningConfigArn=arn))["CodeSigningConfig"] == made
    assert (await lambda_.list_tags(Resource=arn))["Tags"] == {"a": "b"}
    await plane.reset()
    assert (await lambda_.list_code_signing_configs())["CodeSigningConfigs"] == []
    plane._parts.signing.configs.load()
    assert (await lambda_.list_code_signing_configs())["CodeSigningConfigs"] == []


@pytest.mark.parametrize("policy", ["Enforce", "Warn"])
async def test_layers_are_held_to_the_configuration_too(lambda_: Lambda, policy: str) -> None:
    arn = (await config(lambda_, policy=policy))["CodeSigningConfigArn"]
    for name, archive in (("trusted", signed()), ("untrusted", package())):
        await lambda_.publish_layer_version(LayerName=name, Content={"ZipFile": archive})
    trusted, untrusted = (f"arn:aws:lambda:us-east-1:{ACCOUNT}:layer:{name}:1" for name in ("trusted", "untrusted"))
    binding = {"Code": {"ZipFile": signed()}, "CodeSigningConfigArn": arn}
    await lambda_.created("f", **binding, Layers=[trusted])
    if policy == "Enforce":
        refused = await lambda_.refused("update_function_configuration", FunctionName="f", Layers=[untrusted])
        assert refused[:2] == (400, "CodeVerificationFailedException")
        with pytest.raises(ClientError, match="CodeVerificationFailed"):
            await lambda_.create("g", **binding, Layers=[untrusted])
        assert (await lambda_.get_function_configuration(FunctionName="f"))["Layers"][0]["Arn"] == trusted
    else:
        await lambda_.update_function_configuration(FunctionName="f", Layers=[untrusted])
        assert (await lambda_.updated("f"))["Layers"][0]["Arn"] == untrusted


async def test_a_signed_layer_tells_by_whom_wherever_it_is_shown(lambda_: Lambda) -> None:
    """Spec 1.6 and 1.14; no configuration is needed for that."""
    by = {"SigningProfileVersionArn": PROFILE, "SigningJobArn": JOB}
    published = await lambda_.publish_layer_version(LayerName="trusted", Content={"ZipFile": signed()})
    assert published["Content"].items() >= by.items()
    # By no key of this server, by another key than its profile's, by nobody.
    others = (signed(WITHOUT_KEY, KEYS[PROFILE]), signed(PROFILE, KEYS[OTHER]), package(), tampered())
    for number, archive in enumerate(others, 1):
        unsigned = await lambda_.publish_layer_version(LayerName="other", Content={"ZipFile": archive})
        assert (unsigned["Version"], by.keys() & unsigned["Content"].keys()) == (number, set())
    arns = [published["LayerVersionArn"], unsigned["LayerVersionArn"]]
    await lambda_.created("f", Layers=arns, Publish=True)
    for qualifier in ("$LATEST", "1"):
        found = await lambda_.get_function_configuration(FunctionName="f", Qualifier=qualifier)
        assert found["Layers"] == [
            {"Arn": arns[0], "CodeSize": published["Content"]["CodeSize"], **by},
            {"Arn": arns[1], "CodeSize": unsigned["Content"]["CodeSize"]},
        ]
    got = await lambda_.get_layer_version(LayerName="trusted", VersionNumber=1)
    assert got["Content"].items() >= by.items()


def tampered() -> bytes:
    out = io.BytesIO(signed())
    with zipfile.ZipFile(out, "a") as file:
        file.writestr("more.py", "")
    return out.getvalue()
