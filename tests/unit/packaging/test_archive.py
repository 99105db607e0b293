"""Archives put together from members that are compressed already."""

import io
import os
import stat
import time
import zipfile
from pathlib import Path

import pytest

from lambent.packaging import requirements
from lambent.packaging.archive import FRESH_NS, Memory, of_folder


def opened(package: bytes) -> zipfile.ZipFile:
    found = zipfile.ZipFile(io.BytesIO(package))
    assert found.testzip() is None
    return found


def contents(package: bytes) -> dict[str, bytes]:
    with opened(package) as found:
        assert len(set(found.namelist())) == len(found.namelist())
        return {name: found.read(name) for name in found.namelist()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "app"
    (made / "größe").mkdir(parents=True)
    (made / "app.py").write_bytes(b"one\n")
    (made / "empty").write_bytes(b"")
    (made / "größe" / "ÿ.bin").write_bytes(os.urandom(70_000))
    (made / "run").write_bytes(b"#!/bin/sh\n")
    (made / "run").chmod(0o700)
    (made / "link").symlink_to("größe/ÿ.bin")
    return made


def aged(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is there now was written long ago."""
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now + 10 * FRESH_NS)


def test_zipfile_reads_what_is_put_together(folder: Path) -> None:
    with opened(of_folder(folder)) as package:
        assert package.namelist() == ["app.py", "empty", "größe/ÿ.bin", "link", "run"]
        assert package.read("größe/ÿ.bin") == (folder / "größe" / "ÿ.bin").read_bytes()
        assert package.read("link").decode() == "größe/ÿ.bin"
        modes = {item.filename: item.external_attr >> 16 for item in package.infolist()}
    assert stat.S_ISLNK(modes["link"])
    assert (modes["run"], modes["app.py"]) == (0o100755, 0o100644)


def test_archives_of_others_are_taken_as_they_are(folder: Path) -> None:
    """Stored members, extra fields, and sizes behind the data."""

    class Unseekable(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise OSError("a pipe")

    below = Unseekable()
    with zipfile.ZipFile(below, "w") as made:
        item = zipfile.ZipInfo("stored.txt")
        item.extra = b"\x55\x54\x05\x00\x01abcd"
        made.writestr(item, b"stored")
        made.writestr("app.py", b"theirs")
        made.writestr("deflated.txt", b"d" * 5000, zipfile.ZIP_DEFLATED)
    found = contents(of_folder(folder, below.getvalue()))
    assert (found["stored.txt"], found["deflated.txt"]) == (b"stored", b"d" * 5000)
    assert found["app.py"] == b"one\n"
    layer = contents(requirements.as_layer(below.getvalue(), "3.12"))
    assert layer["python/lib/python3.12/site-packages/app.py"] == b"theirs"


def test_what_is_remembered_gives_the_same_bytes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Memory()
    aged(folder, monkeypatch)
    first = of_folder(folder, None, memory)
    assert sorted(memory._members) == ["app.py", "empty", "größe/ÿ.bin", "link", "run"]
    monkeypatch.setattr(Path, "read_bytes", None)
    assert of_folder(folder, None, memory) == first == of_folder(folder, None, memory)


def test_a_changed_mode_and_a_file_that_is_gone_are_seen(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Memory()
    aged(folder, monkeypatch)
    of_folder(folder, None, memory)
    (folder / "run").chmod(0o600)
    (folder / "app.py").unlink()
    assert of_folder(folder, None, memory) == of_folder(folder)
    assert "app.py" not in memory._members


def test_a_file_just_written_is_read_again(folder: Path) -> None:
    """It may be written twice in one tick of the file system, with as many bytes."""
    memory = Memory()
    of_folder(folder, None, memory)
    assert memory._members == {}
    (folder / "app.py").write_bytes(b"two\n")
    assert contents(of_folder(folder, None, memory))["app.py"] == b"two\n"
