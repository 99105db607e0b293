"""The Restore phase of one environment: its records, and what a caller is told when it fails."""

import math

from lambent.aws.errors import ApiError
from lambent.core.clock import Clock
from lambent.environments.events import RestoreReport, RestoreRuntimeDone, RestoreStart, Status
from lambent.environments.init import InitEnd
from lambent.environments.ports import EnvironmentIdentity, Program
from lambent.environments.snapshots.restore_api import RestoreApi
from lambent.functions.records import FunctionVersion


class Restoring:
    """From when a restored sandbox was asked for."""

    def __init__(self, clock: Clock, program: Program) -> None:
        self._clock = clock
        self._began = clock.monotonic()
        self.start = RestoreStart(
            time_ms=clock.epoch_ms(),
            runtime_version=program.runtime_version,
            runtime_version_arn=program.runtime_version_arn,
        )
        self.over = False
        self.duration_ms = 0.0
        self.billed_ms = 0

    def done(self, status: Status, error_type: str | None) -> RestoreRuntimeDone:
        return RestoreRuntimeDone(time_ms=self._clock.epoch_ms(), status=status, error_type=error_type)

    def end(self, end: InitEnd) -> None:
        """`end` is that of the hooks: AWS bills them, and not the time before."""
        self.over = True
        self.duration_ms = (self._clock.monotonic() - self._began) * 1000
        self.billed_ms = math.ceil(round(end.duration_ms, 6))

    def report(self, end: InitEnd) -> RestoreReport:
        return RestoreReport(
            time_ms=self._clock.epoch_ms(), status=end.status, error_type=end.error_type, duration_ms=self.duration_ms
        )


def refusal(end: InitEnd) -> ApiError:
    """Of the invocation whose environment could not be restored. The texts are those of the Lambda model."""
    if end.status is Status.TIMEOUT:
        return ApiError("SnapStartTimeoutException", "Lambda couldn't restore the snapshot within the timeout limit.")
    return ApiError(
        "SnapStartException",
        "The afterRestore() runtime hook encountered an error. For more information, check the Amazon CloudWatch logs.",
    )


def api(version: FunctionVersion, identity: EnvironmentIdentity, clock: Clock) -> RestoreApi | None:
    """What the Runtime API of an environment has for SnapStart, restored or not."""
    if not version.has_snapshot:
        return None
    return RestoreApi(credentials=identity.credentials, token=identity.credentials_token, clock=clock)
