"""examples/photos by Terraform: applied, planned without changes, a photograph through it, destroyed."""

from pathlib import Path

import pytest
from PIL import Image

from lambent.cli.demo import build
from lambent.testing.running_server import Server
from tests.contract.clients.test_terraform import MIRROR, NO_CHANGES, RUNTIME, TERRAFORM, Project
from tests.e2e.census import eventually
from tests.e2e.job_kit import keys

EXAMPLES = Path(__file__).parents[3] / "examples"
PHOTO = EXAMPLES / "thumbnail" / "grace_hopper.jpg"

pytestmark = [
    pytest.mark.skipif(TERRAFORM is None, reason="terraform is not on this machine"),
    pytest.mark.skipif(MIRROR is None, reason="Terraform's AWS provider is not on this machine"),
    pytest.mark.timeout(600),
]


def test_the_example_is_applied_makes_a_thumbnail_and_is_destroyed(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "photos.zip").write_bytes(build(EXAMPLES / "photos", RUNTIME.removeprefix("python"), tmp_path / "built"))
    with Server.start(tmp_path / "server" / "data") as server:
        project = Project(folder, server, EXAMPLES / "photos")
        project.run("init", f"-plugin-dir={MIRROR}", "-input=false")
        project.apply(package="photos.zip")
        project.plan(NO_CHANGES, package="photos.zip")
        s3 = server.client("s3")
        s3.upload_file(str(PHOTO), "photos", "a b.jpg")
        wanted = {"a b.jpg", "gallery/a b.jpg.json"}
        assert (
            eventually(lambda: keys(server, "thumbnails"), timeout_s=30, until=lambda found: found == wanted) == wanted
        )
        s3.download_file("thumbnails", "a b.jpg", str(folder / "thumbnail.jpg"))
        with Image.open(folder / "thumbnail.jpg") as thumbnail:
            assert thumbnail.size == (160, 188)
        project.run("destroy", "-auto-approve", "-input=false", "-var=package=photos.zip")
        assert s3.list_buckets()["Buckets"] == []
