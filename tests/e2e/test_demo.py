"""The main job, as a newcomer starts it."""

import re
import subprocess
import sys
from pathlib import Path

from PIL import Image


def test_the_demo_makes_a_thumbnail_of_a_photograph_and_leaves_nothing_running(tmp_path: Path) -> None:
    command = Path(sys.executable).parent / "lambent"
    done = subprocess.run(
        [command, "demo", "--output", str(tmp_path / "out")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    with Image.open(tmp_path / "out" / "thumbnail.jpg") as thumbnail:
        assert (thumbnail.format, thumbnail.size) == ("JPEG", (160, 188))
    assert re.search(r"^log +REPORT RequestId: \S+ .*Init Duration: ", done.stdout, re.MULTILINE)
    assert re.search(r"cold \d+ ms, warm [\d.]+ ms", done.stdout)
    url = re.search(r"lambent up: http://127\.0\.0\.1:(\d+)", done.stdout)
    assert url is not None
    listening = Path("/proc/net/tcp").read_text()
    assert f":{int(url[1]):04X} 00000000:0000 0A" not in listening
