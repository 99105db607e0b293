"""Packages that have files in common share them, and only what is really the same."""

import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from lambent.functions.archive import BadPackage
from lambent.functions.packages import Packages
from lambent.functions.quotas import Quotas
from lambent.store.blobs import Blobs


@pytest.fixture
def packages(tmp_path: Path) -> Packages:
    return Packages(tmp_path / "packages", Blobs(tmp_path / "blobs"), Quotas())


def zipped(contents: Mapping[str, bytes], *, mode: int = 0o100644, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as file:
        for name, content in contents.items():
            item = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            item.external_attr = mode << 16
            item.compress_type = method
            file.writestr(item, content)
    return out.getvalue()


async def unpacked(packages: Packages, data: bytes, like: str | None = None) -> tuple[str, int]:
    async with packages.accept(data, like) as code:
        return code.sha256, code.unpacked_bytes


def inode(packages: Packages, sha256: str, name: str) -> int:
    return os.stat(packages.path(sha256) / name).st_ino


async def test_a_file_that_did_not_change_is_shared_and_counted(packages: Packages) -> None:
    library = os.urandom(5000)
    first, _ = await unpacked(packages, zipped({"lib/big.py": library, "app.py": b"1"}))
    # Elsewhere in the archive, which is what an added file does.
    second, size = await unpacked(packages, zipped({"a.py": b"x", "lib/big.py": library, "app.py": b"22"}), first)
    assert inode(packages, first, "lib/big.py") == inode(packages, second, "lib/big.py")
    assert (packages.path(second) / "app.py").read_bytes() == b"22"
    assert (packages.path(first) / "app.py").read_bytes() == b"1"
    assert size == 5003


async def test_a_shared_file_outlives_the_package_it_came_from(packages: Packages) -> None:
    first, _ = await unpacked(packages, zipped({"lib.py": b"same", "app.py": b"1"}))
    second, _ = await unpacked(packages, zipped({"lib.py": b"same", "app.py": b"2"}), first)
    assert await packages.collect(lambda: [second]) == 1
    assert not packages.path(first).exists()
    assert (packages.path(second) / "lib.py").read_bytes() == b"same"


@pytest.mark.parametrize("other", [zipped({"lib.py": b"same"}, mode=0o100755), zipped({"lib.py": b"same"}, method=0)])
async def test_another_mode_or_another_compression_is_written(packages: Packages, other: bytes) -> None:
    first, _ = await unpacked(packages, zipped({"lib.py": b"same"}))
    second, _ = await unpacked(packages, other, first)
    assert inode(packages, first, "lib.py") != inode(packages, second, "lib.py")
    assert (packages.path(second) / "lib.py").read_bytes() == b"same"


async def test_bytes_count_and_not_checksums(packages: Packages) -> None:
    """Equal headers over other bytes: what is stored is what is in the archive, or nothing."""
    plain = zipped({"lib.py": b"A" * 64}, method=zipfile.ZIP_STORED)
    first, _ = await unpacked(packages, plain)
    forged = plain.replace(b"A" * 64, b"B" * 64)
    with pytest.raises(BadPackage):
        await unpacked(packages, forged, first)


async def test_a_broken_header_is_refused_as_without_sharing(packages: Packages) -> None:
    plain = zipped({"lib.py": b"same"})
    first, _ = await unpacked(packages, plain)
    for broken in (plain.replace(b"PK\x03\x04", b"PK\x03\x05", 1), plain.replace(b"lib.py", b"lob.py", 1)):
        with pytest.raises(BadPackage):
            await unpacked(packages, broken, first)


async def test_a_package_that_is_gone_is_no_obstacle(packages: Packages) -> None:
    sha256, _ = await unpacked(packages, zipped({"lib.py": b"same"}), "0" * 64)
    assert (packages.path(sha256) / "lib.py").read_bytes() == b"same"
