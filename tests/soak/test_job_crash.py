"""The whole job over a kill of the server in the middle of five hundred uploads."""

from tests.e2e.test_job_crash import test_every_acknowledged_upload_is_handled_after_a_kill

__all__ = ["test_every_acknowledged_upload_is_handled_after_a_kill"]
