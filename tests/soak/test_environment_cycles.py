"""Ten thousand environments that come and go."""

from tests.e2e.test_environment_cycles import test_environments_that_come_and_go_leave_nothing

__all__ = ["test_environments_that_come_and_go_leave_nothing"]
