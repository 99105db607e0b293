"""Terraform with its AWS provider, as they are: apply, a second plan without changes, update in place, destroy."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lambent.testing.running_server import Server
from tests.e2e.packages import zip_of

HERE = Path(__file__).parent / "terraform"
RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"
PROVIDER = "*/hashicorp/aws"
"""In a mirror, below the name of the registry that it mirrors."""
NO_CHANGES, CHANGES = 0, 2
"""What `terraform plan -detailed-exitcode` answers."""

APP = """
import shared
def handler(event, context):
    return {"hello": shared.greet(event["name"]), "arn": context.invoked_function_arn, "version": %r}
"""
LAYER = "def greet(name):\n    return f'Hello, {name}!'\n"


def provider_mirror() -> Path | None:
    """A folder that holds Terraform's AWS provider: its own places, and mirrors unpacked under /opt."""
    named = [Path(folder) for name in ("TF_PLUGIN_DIR", "TF_PLUGIN_CACHE_DIR") if (folder := os.environ.get(name))]
    usual = [Path.home() / ".terraform.d/plugins", Path("/usr/local/share/terraform/plugins")]
    mirrors = [*named, *usual, Path("/usr/share/terraform/plugins"), *sorted(Path("/opt").glob("*"))]
    return next((mirror for mirror in mirrors if any(mirror.glob(PROVIDER))), None)


TERRAFORM = shutil.which("terraform")
MIRROR = provider_mirror()

pytestmark = [
    pytest.mark.skipif(TERRAFORM is None, reason="terraform is not on this machine"),
    pytest.mark.skipif(MIRROR is None, reason="Terraform's AWS provider is not on this machine"),
    pytest.mark.timeout(600),
]


class Project:
    """A copy of the module in a folder of its own, and the server that it is applied to."""

    def __init__(self, folder: Path, server: Server, module: Path = HERE) -> None:
        self.folder = folder
        shutil.copy(module / "main.tf", folder)
        (folder / "layer.zip").write_bytes(zip_of({"python/shared.py": LAYER}))
        self.code("one")
        own = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))}
        self._environment = own | {
            "TF_VAR_endpoint": server.url,
            "TF_VAR_runtime": RUNTIME,
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
        }

    def code(self, version: str) -> None:
        (self.folder / "app.zip").write_bytes(zip_of({"app.py": APP % version}))

    def run(self, *arguments: str, expected: int = 0) -> str:
        """Standard output; fails with all that was said when the status is another than `expected`."""
        assert TERRAFORM is not None
        done = subprocess.run(
            [TERRAFORM, arguments[0], "-no-color", *arguments[1:]],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == expected, f"terraform {' '.join(arguments)}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def apply(self, **variables: object) -> dict[str, object]:
        """The outputs."""
        self.run("apply", "-auto-approve", "-input=false", *_variables(variables))
        outputs = json.loads(self.run("output", "-json"))
        return {name: output["value"] for name, output in outputs.items()}

    def plan(self, expected: int, **variables: object) -> str:
        return self.run("plan", "-detailed-exitcode", "-input=false", *_variables(variables), expected=expected)


def _variables(values: dict[str, object]) -> list[str]:
    return [f"-var={name}={value}" for name, value in values.items()]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    folder = tmp_path / "project"
    folder.mkdir()
    with Server.start(tmp_path / "server" / "data") as server:
        project = Project(folder, server)
        project.run("init", f"-plugin-dir={MIRROR}", "-input=false")
        yield project


def test_a_project_is_applied_planned_without_changes_updated_in_place_and_destroyed(project: Project) -> None:
    first = project.apply()
    assert first["account"] == "000000000000"
    assert first["version"] == "1"
    arn = "arn:aws:lambda:eu-west-1:000000000000:function:thumbnails:live"
    assert first["reply"] == {"hello": "Hello, Terraform!", "arn": arn, "version": "one"}
    project.plan(NO_CHANGES)

    project.code("two")
    update = {"timeout": 9, "retries": 0, "batch_size": 7}
    planned = project.plan(CHANGES, **update)
    assert "to destroy" in planned
    assert " 0 to add" in planned
    assert " 0 to destroy" in planned
    second = project.apply(**update)
    assert second["version"] == "2"
    assert second["reply"] == {"hello": "Hello, Terraform!", "arn": arn, "version": "two"}
    assert second["url"] == first["url"]
    project.apply(**update)
    project.plan(NO_CHANGES, **update)

    project.run("destroy", "-auto-approve", "-input=false", *_variables(dict(update)))
    assert json.loads(project.run("show", "-json")).get("values") is None
