"""Chromium without a window: opens a page and reads what its script has written into it."""

import html
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import orjson
import pytest

PROGRAMS = ("chromium-headless-shell", "chromium", "google-chrome")
LIMIT_S = 60


def page(profile: Path, url: str) -> str:
    """The document after its load, its fetches and five minutes of its own time, of a browser that knows nothing yet.

    Its time runs ahead while nothing is fetched."""
    done = subprocess.run(
        [
            _program(),
            *("--headless", "--disable-gpu", "--disable-dev-shm-usage", "--disable-extensions", "--no-first-run"),
            # Its own sandbox wants a user that is not root; the pages are ours.
            *("--no-sandbox", f"--user-data-dir={profile}", "--virtual-time-budget=300000", "--dump-dom", url),
        ],
        env={"HOME": str(profile), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def result(document: str) -> Any:
    """The JSON that a script has written into the element `result`."""
    found = re.search(r'<pre id="result">(.*?)</pre>', document, re.DOTALL)
    assert found is not None, document
    return orjson.loads(html.unescape(found[1]))


def _program() -> str:
    for program in PROGRAMS:
        if (path := shutil.which(program)) is not None:
            return path
    if os.environ.get("CI") == "true":
        pytest.fail("there is no Chromium; requirements/apt.txt names the package")
    pytest.skip("needs Chromium (apt-get install chromium-headless-shell)")
