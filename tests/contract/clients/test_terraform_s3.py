"""Terraform's bucket and its sub-resources: apply, a plan without changes, update in place, destroy."""

import json
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from lambent.testing.running_server import Server
from tests.contract.clients.test_terraform import MIRROR, NO_CHANGES, TERRAFORM, Project

HERE = Path(__file__).parent / "terraform_s3"

pytestmark = [
    pytest.mark.skipif(TERRAFORM is None, reason="terraform is not on this machine"),
    pytest.mark.skipif(MIRROR is None, reason="Terraform's AWS provider is not on this machine"),
    pytest.mark.timeout(600),
]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Project, Server]]:
    folder = tmp_path / "project"
    folder.mkdir()
    with Server.start(tmp_path / "server" / "data") as server:
        project = Project(folder, server, HERE)
        project.run("init", f"-plugin-dir={MIRROR}", "-input=false")
        yield project, server


def test_a_bucket_is_applied_planned_without_changes_updated_and_destroyed(served: tuple[Project, Server]) -> None:
    project, server = served
    outputs = project.apply()
    assert outputs["version"]
    project.plan(NO_CHANGES)

    # Each command takes ten seconds and more of the provider alone: a second plan would tell what the first one did.
    project.apply(days=9)

    sqs = boto3.client(
        "sqs",
        endpoint_url=server.url,
        region_name="eu-west-1",
        aws_access_key_id="000000000000",
        aws_secret_access_key="secret",
    )
    keys = set[str]()
    while "in/photo.jpg" not in keys:
        received = sqs.receive_message(QueueUrl=outputs["queue"], WaitTimeSeconds=20).get("Messages", [])
        assert received, keys
        bodies = [json.loads(message["Body"]) for message in received]
        keys |= {record["s3"]["object"]["key"] for body in bodies for record in body.get("Records", ())}

    project.run("destroy", "-auto-approve", "-input=false", "-refresh=false", "-var=days=9")
