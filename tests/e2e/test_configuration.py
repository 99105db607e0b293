"""What only a running server shows of configurations: code from S3, variables over a crash, limits from flags."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambent.testing.running_server import Server, ServerFailed
from tests.e2e.packages import create_function, wait_updated, zip_of

ANSWERS_ITS_SECRET = "import os\ndef handler(event, context):\n    return os.environ['SECRET']\n"
SECRET = "correct-horse-battery-staple"


def s3_of(server: Server) -> Any:
    return server.client("s3")


def test_a_function_runs_code_that_another_client_put_into_s3(server: Server) -> None:
    s3, functions = s3_of(server), server.client("lambda")
    s3.create_bucket(Bucket="packages")
    s3.put_bucket_versioning(Bucket="packages", VersioningConfiguration={"Status": "Enabled"})
    archive = zip_of({"app.py": "def handler(event, context):\n    return 'from s3'\n"})
    first = s3.put_object(Bucket="packages", Key="team/ä b.zip", Body=archive)["VersionId"]
    s3.put_object(Bucket="packages", Key="team/ä b.zip", Body=b"no zip at all")
    code = {"S3Bucket": "packages", "S3Key": "team/ä b.zip"}
    with pytest.raises(ClientError, match="Could not unzip uploaded file"):
        create_function(functions, "stored", Code=code)
    create_function(functions, "stored", Code=code | {"S3ObjectVersion": first})
    assert functions.invoke(FunctionName="stored")["Payload"].read() == b'"from s3"'
    with pytest.raises(ClientError, match="S3 Error Code: NoSuchKey"):
        functions.update_function_code(FunctionName="stored", S3Bucket="packages", S3Key="missing")
    with pytest.raises(ClientError, match="S3 Error Code: NoSuchBucket"):
        functions.update_function_code(FunctionName="stored", S3Bucket="no-such-bucket", S3Key="missing")


def test_variables_reach_the_function_and_no_file_also_after_a_crash(
    start_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = start_server()
    client = server.client("lambda")
    create_function(client, "secretive", ANSWERS_ITS_SECRET, Environment={"Variables": {"SECRET": "first " + SECRET}})
    assert client.invoke(FunctionName="secretive")["Payload"].read() == f'"first {SECRET}"'.encode()
    client.update_function_configuration(FunctionName="secretive", Environment={"Variables": {"SECRET": SECRET}})
    wait_updated(client, "secretive")
    assert holding(tmp_path, SECRET) == []
    server.kill()
    assert holding(tmp_path, SECRET) == []

    client = start_server().client("lambda")
    assert client.invoke(FunctionName="secretive")["Payload"].read() == f'"{SECRET}"'.encode()
    assert holding(tmp_path, SECRET) == []


def test_a_data_directory_without_its_key_is_refused_in_one_line(
    start_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = start_server()
    create_function(server.client("lambda"), "secretive", Environment={"Variables": {"SECRET": SECRET}})
    assert server.terminate() == 0
    (tmp_path / "data" / "secrets" / "variables").unlink()
    with pytest.raises(ServerFailed, match="secrets/variables back from your backup") as failure:
        start_server()
    assert "status 5" in str(failure.value)
    assert "Traceback" not in str(failure.value)


def test_a_limit_from_the_command_line_holds_for_control_and_data_path(start_server: Callable[..., Server]) -> None:
    server = start_server("--quota", "max_timeout_s=5", "--quota", "max_payload_bytes=100")
    client = server.client("lambda")
    create_function(client, "limited", Timeout=5)
    with pytest.raises(ClientError, match="Member must have value less than or equal to 5"):
        client.update_function_configuration(FunctionName="limited", Timeout=6)
    with pytest.raises(ClientError, match=r"101 byte payload is too large .* \(limit 100 bytes\)"):
        client.invoke(FunctionName="limited", Payload=b" " * 100 + b"1")
    assert client.invoke(FunctionName="limited", Payload=b" " * 99 + b"1")["Payload"].read() == b"1"


def holding(root: Path, what: str) -> list[str]:
    """Names of files that hold a text; those that go meanwhile hold nothing."""
    found = []
    for path in root.rglob("*"):
        try:
            if path.is_file() and what.encode() in path.read_bytes():
                found.append(path.name)
        except FileNotFoundError:
            continue
    return found
