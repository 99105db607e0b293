"""Thousands of sandboxes of each origin, from preparation to end."""

from tests.e2e.test_sandbox_leaks import test_starts_of_each_kind_leave_everything_flat

__all__ = ["test_starts_of_each_kind_leave_everything_flat"]
