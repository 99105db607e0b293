"""Twelve kills of the supervisor amid five thousand accepted events."""

from tests.e2e.test_events import test_no_accepted_event_is_lost_by_kills

__all__ = ["test_no_accepted_event_is_lost_by_kills"]
