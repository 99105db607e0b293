"""A queue of 100,000 messages of 1 KB takes little memory, on its way in and on its way out."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.services.sqs import long_child


@pytest.mark.parametrize(("kind", "most_kb"), [("standard", 30_000), ("fifo", 70_000)])
def test_memory_does_not_grow_with_the_length_of_a_queue(tmp_path: Path, kind: str, most_kb: int) -> None:
    """On FIFO 100,000 deduplication ids are remembered for five minutes."""
    command = [sys.executable, "-m", long_child.__name__, str(tmp_path / "lambent.db"), kind]
    cwd = Path(long_child.__file__).parents[4]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=cwd)
    assert not done.stderr
    found, full_kb, empty_kb = map(int, done.stdout.split())
    print(f"{kind}: {full_kb} KB more with all of it, {empty_kb} KB more when it was empty again")
    assert found == long_child.MESSAGES
    assert max(full_kb, empty_kb) < most_kb
