"""What a start must not import: memory of every server, and time of each start. Numbers are in docs/benchmarks.md."""

import subprocess
import sys
from pathlib import Path
from typing import Final

from lambent.start import PARTS

ABSENT: Final = (
    "alembic",
    "boto3",
    "botocore.auth",
    "botocore.model",
    "botocore.session",
    "cryptography",
    "dateutil",
    "encodings.idna",
    "http.client",
    "httpx",
    "lambent.gateway.endpoint",
    "lambent.gateway.foreign",
    "lambent.launcher.server",
    "lambent.services.s3.service",
    "lambent.testing",
    "moto",
    "psycopg",
    "regex",
    "sqlalchemy.dialects.postgresql",
    "sqlalchemy.orm",
    "urllib.request",
    "urllib3",
    "xml.sax",
)
"""Each is for some servers, or for some calls; or other modules do the little that is needed of it."""
_START: Final = """
import atexit, sys
atexit.register(lambda: print("loaded", *sys.modules))
from lambent.cli.main import main
main(["up", "--until-stdin-ends", "--port", "0", "--sandbox", "process", "--data-dir", sys.argv[1]])
"""


def test_importing_the_server_loads_nothing_that_only_some_need() -> None:
    assert (
        _unwanted("-c", "import sys, lambent.cli.up, lambent.start, lambent.app; print('loaded', *sys.modules)") == []
    )


def test_starting_the_server_loads_nothing_that_only_some_need(tmp_path: Path) -> None:
    assert _unwanted("-c", _START, str(tmp_path / "data")) == []
    # And with what the first one has made.
    assert _unwanted("-c", _START, str(tmp_path / "data")) == []


def test_all_parts_of_a_start_are_modules_of_the_server() -> None:
    found = subprocess.run(
        [sys.executable, "-c", "import sys, lambent.app; print(*sys.modules)"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert set(PARTS) <= set(found.stdout.split())


def _unwanted(*arguments: str) -> list[str]:
    ended = subprocess.run([sys.executable, *arguments], input="", capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    loaded = set(ended.stdout.rpartition("\nloaded")[2].split() or ended.stdout.split())
    assert "lambent.app" in loaded
    return sorted(loaded.intersection(ABSENT))
