import os
from pathlib import Path
from typing import ClassVar, cast

import pytest

from lambent.environments.sandbox import probe
from lambent.environments.sandbox.guarantees import GUARANTEES
from lambent.environments.sandbox.native import NativeDriver
from lambent.environments.sandbox.ports import Sandbox, SandboxError, SandboxSpec


async def choose(tmp_path: Path, wanted: str, problem: str | None = "native sandboxes need root") -> probe.Choice:
    return await probe.choose(
        wanted,
        launcher=None,
        problem=problem,
        packages_dir=tmp_path,
        scratch=tmp_path / "run",
        runtime_entries={},
    )


async def test_auto_without_a_launcher_is_the_process_sandbox_and_says_why(tmp_path: Path) -> None:
    choice = await choose(tmp_path, "auto")
    assert choice.driver.name == "process"
    assert choice.reason == "native sandboxes need root"
    # Landlock and a filter are not on every machine; the rest a plain process never has.
    assert GUARANTEES.keys() - choice.missing.keys() <= {"filesystem", "syscalls"}
    told = choice.as_json()["guarantees"]
    assert told == {name: name not in choice.missing for name in GUARANTEES}
    await choice.driver.close()


async def test_process_by_name_is_no_fallback(tmp_path: Path) -> None:
    choice = await choose(tmp_path, "process", None)
    assert choice.reason == "the process sandbox was asked for"
    await choice.driver.close()


async def test_native_by_name_refuses_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(probe.SandboxUnavailable, match="cannot be had here: native sandboxes need root"):
        await choose(tmp_path, "native")


async def test_oci_by_name_refuses_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(probe.SandboxUnavailable, match="oci sandbox cannot be had here: no OCI runtime"):
        await choose(tmp_path, "oci", "no OCI runtime is installed")


async def test_rootless_by_name_refuses_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(probe.SandboxUnavailable, match="rootless sandbox cannot be had here: no user namespaces"):
        await choose(tmp_path, "rootless", "no user namespaces")


class Busy:
    """A driver whose sandboxes take too long, so many times."""

    name = "native"
    launcher_missing: ClassVar[dict[str, str]] = {}

    def __init__(self, times: int) -> None:
        self.left = times

    async def create(self, spec: SandboxSpec) -> Sandbox:
        if self.left:
            self.left -= 1
            raise TimeoutError
        raise SandboxError("built at last")


@pytest.mark.parametrize(("times", "why"), [(1, "built at last"), (2, "in 30 s")])
async def test_a_machine_that_is_busy_for_a_moment_gets_another_try(tmp_path: Path, times: int, why: str) -> None:
    found = await probe.examine(cast(NativeDriver, Busy(times)), tmp_path)
    assert found.keys() == GUARANTEES.keys()
    assert all(why in reason for reason in found.values())
    assert os.listdir(tmp_path) == []
