import os
import pwd
from collections.abc import Callable
from pathlib import Path

import pytest

from lambent.runtimes.interpreters import Interpreter, Places, find_all, inspect, places
from tests.unit.runtimes.conftest import elf

Install = Callable[..., Path]


def test_an_interpreter_is_found_through_a_link_in_path(tmp_path: Path, install: Install) -> None:
    executable = install(tmp_path / "py", "3.12", 4)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python3.12").symlink_to(executable)
    assert find_all("3.12", Places([tmp_path / "bin"], [])) == [
        Interpreter("3.12", 4, tmp_path / "py", tmp_path / "py/bin/python3.12")
    ]


def test_the_newest_patch_comes_first_and_a_debug_build_last(tmp_path: Path, install: Install) -> None:
    install(tmp_path / "3.12.3", "3.12", 3)
    install(tmp_path / "3.12.11", "3.12", 11)
    install(tmp_path / "3.12.12-debug", "3.12", 12)
    found = find_all("3.12", Places([], [tmp_path]))
    assert [interpreter.prefix.name for interpreter in found] == ["3.12.11", "3.12.3", "3.12.12-debug"]


def test_another_version_is_never_found(tmp_path: Path, install: Install) -> None:
    install(tmp_path / "3.11.9", "3.11", 9)
    assert find_all("3.12", Places([tmp_path / "3.11.9/bin"], [tmp_path])) == []


def test_scripts_with_the_name_of_an_interpreter_are_skipped(tmp_path: Path, install: Install) -> None:
    shims = tmp_path / "shims"
    shims.mkdir()
    (shims / "python3.12").write_text("#!/bin/sh\nexec pyenv exec python3.12\n")
    (shims / "python3.12").chmod(0o755)
    assert find_all("3.12", Places([shims], [])) == []


def test_an_interpreter_of_another_architecture_is_skipped(tmp_path: Path, install: Install) -> None:
    executable = install(tmp_path / "py", "3.12")
    for architecture in ("x86_64", "arm64"):
        executable.write_bytes(elf(architecture))
        expected = (
            [] if architecture != {"aarch64": "arm64"}.get(os.uname().machine, os.uname().machine) else [executable]
        )
        assert [each.executable for each in find_all("3.12", Places([tmp_path / "py/bin"], []))] == expected


def test_an_interpreter_without_its_library_is_skipped(tmp_path: Path, install: Install) -> None:
    install(tmp_path / "py", "3.12")
    (tmp_path / "py/lib/python3.12/logging/__init__.py").unlink()
    assert find_all("3.12", Places([tmp_path / "py/bin"], [])) == []


def test_a_virtual_environment_stands_for_its_base(tmp_path: Path, install: Install) -> None:
    install(tmp_path / "base", "3.12", 1)
    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "venv/pyvenv.cfg").write_text(f"home = {tmp_path}/base/bin\ninclude-system-site-packages = false\n")
    (tmp_path / "venv/bin/python3.12").write_bytes((tmp_path / "base/bin/python3.12").read_bytes())
    interpreter = inspect(tmp_path / "venv/bin/python3.12", "3.12")
    assert interpreter is not None
    assert interpreter.prefix == tmp_path / "base"


@pytest.mark.parametrize(
    ("folder", "contents", "patch"),
    [
        ("3.12.7", b"", 7),
        ("cpython-3.12.9-linux-x86_64-gnu", b"", 9),
        ("usr", b"junk\x003.11.2\x00\x003.12.5+\x00", 5),
        ("usr", b"", None),
    ],
)
def test_the_patch_level_is_read_and_not_asked_for(
    tmp_path: Path, install: Install, folder: str, contents: bytes, patch: int | None
) -> None:
    install(tmp_path / folder, "3.12", contents=contents)
    assert [each.patch for each in find_all("3.12", Places([], [tmp_path]))] == [patch]


def test_the_home_of_the_user_behind_sudo_is_looked_at(tmp_path: Path) -> None:
    caller = pwd.getpwuid(os.getuid())
    # Another HOME than the caller's, so that only SUDO_USER can lead there.
    where = places({"HOME": "/h", "SUDO_USER": caller.pw_name, "PATH": "/a:relative:/b", "PYENV_ROOT": "/py"})
    assert list(where.bins[:2]) == [Path("/a"), Path("/b")]
    assert where.prefixes[0] == Path("/py/versions")
    for home in ("/h", caller.pw_dir):
        assert Path(home, ".pyenv/versions") in where.prefixes
        assert Path(home, ".local/share/uv/python") in where.prefixes
    assert len(set(where.prefixes)) == len(where.prefixes)
    assert places({"SUDO_USER": "no such user", "PATH": ""}).prefixes


def test_folders_that_cannot_be_read_are_no_error(tmp_path: Path) -> None:
    assert find_all("3.12", Places([tmp_path / "none"], [tmp_path / "none"])) == []
