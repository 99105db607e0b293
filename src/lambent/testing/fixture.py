"""`lambent_server = server()` in a conftest.py: a running server for the tests of functions. See docs/testing.md."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from lambent.testing.lambent_server import LambentServer

Scope = Literal["session", "package", "module", "class", "function"]


def server(
    *, scope: Scope = "session", sandbox: str = "auto", arguments: Sequence[str] = (), timeout_s: float = 30.0
) -> Any:
    """A pytest fixture whose value is a `LambentServer`, started at the first test that asks for it.

    Each has a free port and a folder of its own, so that each worker of pytest-xdist has its own server. `sandbox` and
    `arguments` are those of `lambent up`. A server that does not start within `timeout_s` fails the test with its log.
    """
    # Other modules of this package are used where there is no pytest, and without boto3's half second.
    import pytest

    from lambent.testing.lambent_server import LambentServer, removed
    from lambent.testing.running_server import ServerFailed

    @pytest.fixture(scope=scope)
    def running() -> "Iterator[LambentServer]":
        with removed(Path(tempfile.mkdtemp(prefix="lambent-test-"))) as folder:
            try:
                started = LambentServer.start(folder, ["--sandbox", sandbox, *arguments], timeout_s)
            except ServerFailed as failure:
                pytest.fail(f"Lambent did not start: {failure}", pytrace=False)
            with started:
                yield started

    return running
