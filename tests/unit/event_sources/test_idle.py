"""A server without an enabled mapping pays nothing for pollers."""

import subprocess
import sys


def test_no_poller_is_loaded_before_the_first_mapping() -> None:
    code = """
import sys
import lambent.app
loaded = [name for name in sys.modules if name.startswith("lambent.event_sources.")]
print([name for name in loaded if name.rpartition(".")[2] in ("poller", "sqs", "sqs_records", "scale", "partial")])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
