"""examples/photos, as its readers run it: with boto3 and with the AWS CLI, each on a server of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from lambent.cli.demo import build
from lambent.testing.running_server import Server
from tests.e2e.packages import RUNTIME

ROOT = Path(__file__).parents[2]
PHOTOS = ROOT / "examples" / "photos"
PHOTO = ROOT / "examples" / "thumbnail" / "grace_hopper.jpg"

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both functions with Pillow, as the README packs them."""
    folder = tmp_path_factory.mktemp("package")
    file = folder / "photos.zip"
    file.write_bytes(build(PHOTOS, RUNTIME.removeprefix("python"), folder / "requirements"))
    return file


@pytest.mark.parametrize(
    "command", [[sys.executable, str(PHOTOS / "photos.py")], ["sh", str(PHOTOS / "photos.sh")]], ids=["boto3", "cli"]
)
def test_a_photograph_becomes_a_thumbnail_in_the_gallery(
    start_server: Callable[..., Server], package: Path, tmp_path: Path, command: list[str]
) -> None:
    server = start_server()
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "RUNTIME": RUNTIME,
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": "000000000000",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_PAGER": "",
    }
    done = subprocess.run(
        [*command, str(package), str(PHOTO)],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with Image.open(tmp_path / f"thumbnail-{PHOTO.name}") as thumbnail:
        assert (thumbnail.format, thumbnail.size) == ("JPEG", (160, 188))
