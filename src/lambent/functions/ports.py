"""What the control plane needs of others; `app` wires them."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol


class Refusal(Protocol):
    """Why a function cannot run on this machine."""

    @property
    def reason(self) -> str:
        """One sentence for the user that names the mending command."""
        ...

    @property
    def code(self) -> str:
        """A value of the model's StateReasonCode, for example InvalidRuntime."""
        ...


class RuntimeSupport(Protocol):
    """Implemented by the catalogue of runtimes."""

    def refusal(self, runtime: str, architecture: str, code_dir: Path) -> Refusal | None:
        """None when such a function can run here. Called on a worker thread; it may read the package."""
        ...


RuntimeVersionArn = Callable[[str, str], str | None]
"""From (runtime identifier, region) to the ARN of the build that serves it here; None when there is none."""


def no_runtime_version(_runtime: str, _region: str) -> None:
    """For machines without versioned runtimes."""


class VersionObserver(Protocol):
    """Told on the event loop, after the commit, so it must be quick."""

    def retire(self, deployment_id: str) -> None:
        """No new invocation will name this deployment; its environments end once they are idle."""
        ...
