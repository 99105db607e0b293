import os
import sys
from pathlib import Path

import pytest

from lambent.launcher import client, starting


def test_launcher_that_ends_before_it_reads_is_told_as_one_that_ended(tmp_path: Path) -> None:
    """As systemd-run does where it cannot give a scope: the next attempt is made without."""
    with pytest.raises(client.LauncherError, match="ended at once, with status 1"):
        starting._start(["false"], {"agreed": "not read"}, tmp_path, [], client.NATIVE).await_ready()


def test_each_start_has_a_scope_of_its_own_and_none_where_there_is_no_systemd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "systemd-run").touch(mode=0o755)
    monkeypatch.setattr(starting, "_PROGRAMS", str(tmp_path))
    monkeypatch.setattr(starting, "SYSTEMD", str(tmp_path))
    first, second = starting._delegated_scope(rootless=False), starting._delegated_scope(rootless=False)
    assert "--property=Delegate=yes" in first
    assert first != second
    monkeypatch.setattr(starting, "SYSTEMD", str(tmp_path / "none"))
    assert starting._delegated_scope(rootless=False) == []


def test_a_scope_without_root_is_asked_of_the_users_own_systemd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "systemd-run").touch(mode=0o755)
    monkeypatch.setattr(starting, "_PROGRAMS", str(tmp_path))
    monkeypatch.setattr(starting, "SYSTEMD", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert starting._delegated_scope(rootless=True)[:2] == ["systemd-run", "--user"]


def test_a_launcher_without_root_works_in_a_user_namespace_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert starting.kind("auto") == client.Kind("rootless", "not started as root")
    assert starting.kind("native") == client.NATIVE


def _program(folder: Path, said: str) -> str:
    program = folder / "runtime"
    program.write_text(f"#!/bin/sh\necho '{said}'\n")
    program.chmod(0o755)
    return str(program)


@pytest.mark.parametrize(("said", "gvisor"), [("runc version 1.1.5", False), ("runsc version 0.0~20221219.0", True)])
def test_an_oci_runtime_says_itself_whether_it_is_gvisor(tmp_path: Path, said: str, gvisor: bool) -> None:
    assert starting.kind("oci", _program(tmp_path, said)).gvisor is gvisor


def test_kata_is_refused_because_it_has_no_commands_of_an_oci_runtime(tmp_path: Path) -> None:
    with pytest.raises(client.LauncherError, match=r"since Kata 2\.0"):
        starting.kind("oci", _program(tmp_path, "kata-runtime  : 3.2.0"))


def test_an_oci_runtime_that_cannot_be_run_is_told(tmp_path: Path) -> None:
    program = tmp_path / "runtime"
    program.write_bytes(b"\0")
    program.chmod(0o755)
    with pytest.raises(client.LauncherError, match="Exec format error"):
        starting.kind("oci", str(program))
