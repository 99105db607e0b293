"""Long runs of the end-to-end tests: the same tests, with more rounds. `make soak`; no part of `make test`."""

import os

# Read when the modules are imported, which is after this file.
os.environ.setdefault("LAMBENT_CRASH_ROUNDS", "50")
os.environ.setdefault("LAMBENT_CRASH_EVENTS", "5000")
os.environ.setdefault("LAMBENT_CRASH_KILLS", "12")
os.environ.setdefault("LAMBENT_CYCLES", "10000")
os.environ.setdefault("LAMBENT_JOB_UPLOADS", "500")
os.environ.setdefault("LAMBENT_FLAT_SCALE", "30")
os.environ.setdefault("LAMBENT_TEST_SANDBOX_CYCLES", "3000")

from tests.e2e.conftest import start_server

__all__ = ["start_server"]
