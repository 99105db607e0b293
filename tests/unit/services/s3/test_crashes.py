"""What a start finds: files without a row go, files with one stay, and nothing half-written is left."""

import errno
import os
from typing import Any

import pytest

from lambent.aws.errors import PlatformFault
from tests.unit.services.s3.conftest import MakeS3


async def test_a_start_sweeps_files_without_a_row_and_keeps_the_others(make_s3: MakeS3) -> None:
    before = await make_s3()
    await before.bucket()
    await before.put("k", b"kept")
    file = await before.service.objects.files.write(_chunks(b"nobody has named it"))
    assert file is not None
    (before.root / "new" / ".new-half").write_bytes(b"half")
    await before.service.close()
    await before.database.close()

    after = await make_s3()
    assert await after.service.objects.files.sweep(after.service.objects.unknown) == 1
    assert len(after.files()) == 1
    assert await after.get("k") == b"kept"


async def test_a_full_disk_refuses_leaves_nothing_and_recovers(
    make_s3: MakeS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3 = await make_s3()
    await s3.bucket()

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "writev", full)
        with pytest.raises(PlatformFault, match="No space left"):
            await s3.put("k", b"x")
    assert s3.files() == []
    await s3.put("k", b"y")
    assert await s3.get("k") == b"y"


async def _chunks(*chunks: bytes) -> Any:
    for chunk in chunks:
        yield chunk
