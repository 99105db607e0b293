"""A runtime check that a test can hold up or make refuse; implements `functions.ports.RuntimeSupport`."""

import threading
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class CannotRun:
    reason: str
    code: str = "InvalidRuntime"


@dataclass(slots=True)
class FakeRuntimeSupport:
    """Every runtime runs, unless named in `refused`; no check ends between `hold` and `release`."""

    refused: dict[str, CannotRun] = field(default_factory=dict)
    bugs: list[Exception] = field(default_factory=list)
    """Raised one by one, before any answer: a check that is broken."""
    _opened: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._opened.set()

    def refusal(self, runtime: str, architecture: str, code_dir: Path) -> CannotRun | None:
        assert code_dir.is_dir(), "a runtime check before the package is unpacked"
        if not self._opened.wait(timeout=10):
            raise TimeoutError("nobody released the runtime check")
        if self.bugs:
            raise self.bugs.pop(0)
        return self.refused.get(runtime)

    def hold(self) -> None:
        self._opened.clear()

    def release(self) -> None:
        self._opened.set()
