"""Thousands of invocations, hundreds of resets, hundreds of functions that come and go, some with
Telemetry subscribers."""

from tests.e2e.test_flat_resources import (
    flat,
    host,
    test_environments_with_telemetry_subscribers_leave_nothing,
    test_functions_that_come_and_go_leave_nothing,
    test_invocations_leave_nothing,
    test_resets_leave_nothing,
)

__all__ = [
    "flat",
    "host",
    "test_environments_with_telemetry_subscribers_leave_nothing",
    "test_functions_that_come_and_go_leave_nothing",
    "test_invocations_leave_nothing",
    "test_resets_leave_nothing",
]
