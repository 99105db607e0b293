"""Fifty kills of the supervisor under load."""

from tests.e2e.test_crash_recovery import (
    host,
    test_acknowledged_writes_survive_kills_and_nothing_is_left,
    test_kill_while_starting_leaves_a_data_dir_that_starts,
)

__all__ = [
    "host",
    "test_acknowledged_writes_survive_kills_and_nothing_is_left",
    "test_kill_while_starting_leaves_a_data_dir_that_starts",
]
