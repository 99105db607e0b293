"""Content-addressed files."""

import errno
import hashlib
import os
from pathlib import Path

import pytest

from lambent.store.blobs import Blobs


def test_a_blob_is_named_by_its_content(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    digest = blobs.put(b"code")
    assert digest == hashlib.sha256(b"code").hexdigest()
    assert blobs.get(digest) == b"code"
    assert blobs.put(b"code") == digest
    assert list(blobs.list()) == [digest]


def test_a_deleted_blob_is_gone_and_deleting_again_is_fine(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    digest = blobs.put(b"code")
    blobs.delete(digest)
    blobs.delete(digest)
    with pytest.raises(FileNotFoundError):
        blobs.get(digest)


def test_a_name_that_is_no_digest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        Blobs(tmp_path).path("../../etc/passwd")


def test_a_failed_put_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = Blobs(tmp_path)

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError):
        blobs.put(b"code")
    assert [item for item in tmp_path.rglob("*") if item.is_file()] == []


def test_opening_removes_what_a_crash_left_half_written(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    digest = blobs.put(b"code")
    left = blobs.path(digest).with_name(".new-0011")
    left.write_bytes(b"co")
    assert list(Blobs(tmp_path).list()) == [digest]
    assert not left.exists()
