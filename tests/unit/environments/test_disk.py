"""When a disk is too full for another environment."""

import logging
import os
from pathlib import Path

import pytest

from lambent.environments.disk import KEPT_BYTES, Disk, kept_bytes


def test_a_twentieth_of_a_small_disk_is_kept_and_a_gigabyte_of_a_large_one() -> None:
    assert kept_bytes(200 << 20) == 10 << 20
    assert kept_bytes(1 << 40) == KEPT_BYTES


def test_low_is_told_once_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    free = [50]

    class Found:
        f_frsize, f_blocks = 1 << 20, 200

        @property
        def f_bavail(self) -> int:
            return free[0]

    monkeypatch.setattr(os, "statvfs", lambda _: Found())
    disk = Disk(tmp_path)
    with caplog.at_level(logging.WARNING):
        for free[0], low in ((50, False), (9, True), (8, True), (10, False), (3, True)):
            assert disk.is_low() is low
    assert len(caplog.records) == 2
    assert "less than 10 MB are free" in caplog.text
