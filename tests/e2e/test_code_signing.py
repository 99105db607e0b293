"""Signed by the command, verified by a server that was told the key; and over a crash."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from lambent.testing.running_server import COMMAND, Server

PROFILE = "arn:aws:signer:us-east-1:000000000000:/signing-profiles/mine/1"
ROLE = "arn:aws:iam::000000000000:role/r"


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    """The files of a private and its public key."""
    key = ed25519.Ed25519PrivateKey.generate()
    private, public = tmp_path / "key.pem", tmp_path / "public.pem"
    pem, none = serialization.Encoding.PEM, serialization.NoEncryption()
    private.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, none))
    public.write_bytes(key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
    return private, public


def test_a_signed_folder_runs_an_unsigned_one_does_not_and_a_crash_changes_nothing(
    start_server: Callable[..., Server], tmp_path: Path, keys: tuple[Path, Path]
) -> None:
    private, public = keys
    folder, archive = tmp_path / "app", tmp_path / "signed.zip"
    folder.mkdir()
    (folder / "app.py").write_text("def handler(event, context):\n    return 'signed'\n")
    command = [str(COMMAND), "sign", str(folder), "--profile", PROFILE, "--key", str(private), "-o", str(archive)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    flags = ("--signing-profile", f"{PROFILE}={public}")
    server = start_server(*flags)
    client = server.client("lambda")
    made = client.create_code_signing_config(
        AllowedPublishers={"SigningProfileVersionArns": [PROFILE]},
        CodeSigningPolicies={"UntrustedArtifactOnDeployment": "Enforce"},
    )["CodeSigningConfig"]
    arn = made["CodeSigningConfigArn"]
    runtime = f"python3.{sys.version_info.minor}"
    client.create_function(
        FunctionName="f",
        Runtime=runtime,
        Handler="app.handler",
        Role=ROLE,
        Code={"ZipFile": archive.read_bytes()},
        CodeSigningConfigArn=arn,
    )
    client.get_waiter("function_active_v2").wait(FunctionName="f", WaiterConfig={"Delay": 0.05, "MaxAttempts": 400})
    assert client.invoke(FunctionName="f")["Payload"].read() == b'"signed"'

    server.kill()
    server = start_server(*flags)
    client = server.client("lambda")
    assert client.get_code_signing_config(CodeSigningConfigArn=arn)["CodeSigningConfig"] == made
    assert client.get_function_code_signing_config(FunctionName="f")["CodeSigningConfigArn"] == arn
    assert client.get_function_configuration(FunctionName="f")["SigningProfileVersionArn"] == PROFILE
    unsigned = subprocess.run(
        [str(COMMAND), "deploy", str(folder), "--name", "f", "--endpoint", server.url],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert unsigned.returncode == 4
    assert "CodeVerificationFailedException" in unsigned.stderr
    assert "it is not signed" in unsigned.stderr
    warn = {"UntrustedArtifactOnDeployment": "Warn"}
    client.update_code_signing_config(CodeSigningConfigArn=arn, CodeSigningPolicies=warn)
    (folder / "app.py").write_text("def handler(event, context):\n    return 'unsigned'\n")
    subprocess.run(
        [str(COMMAND), "deploy", str(folder), "--name", "f", "--endpoint", server.url],
        check=True,
        capture_output=True,
        timeout=60,
    )
    assert client.invoke(FunctionName="f")["Payload"].read() == b'"unsigned"'
    assert "is deployed against its code signing configuration: it is not signed" in server.log()
    with pytest.raises(ClientError, match="ResourceConflictException"):
        client.delete_code_signing_config(CodeSigningConfigArn=arn)
