"""Code packages: what is refused, what it leaves behind, how it is unpacked, when it is collected."""

import asyncio
import errno
import os
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lambent.aws.errors import PlatformFault
from lambent.functions.archive import COULD_NOT_UNZIP, EMPTY, BadPackage
from lambent.functions.packages import Packages
from lambent.functions.quotas import Quotas
from lambent.functions.unpack import remove
from lambent.store.blobs import Blobs
from tests.unit.functions.archives import Member, archive, folder, link, with_declared_size, with_flag

SMALL = Quotas(max_unzipped_bytes=100_000, max_package_entries=50)


@pytest.fixture
def packages(tmp_path: Path) -> Iterator[Packages]:
    packages = Packages(tmp_path / "packages", Blobs(tmp_path / "blobs"), SMALL)
    yield packages
    packages.close()


def left(tmp_path: Path) -> list[str]:
    """Everything below the data directory but the stamp of the boot."""
    return sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file() and p.name != ".boot")


def folders(tmp_path: Path) -> list[str]:
    return [p.name for p in (tmp_path / "packages").iterdir() if p.is_dir()]


BAD: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", EMPTY),
    "an archive of nothing": (archive([]), EMPTY),
    "no archive": (b"PK not really", COULD_NOT_UNZIP),
    "a cut archive": (archive([Member("a.py", b"x" * 500)])[:-30], COULD_NOT_UNZIP),
    "a parent": (archive([Member("../a.py")]), "leaves the package"),
    "a parent inside": (archive([Member("a/../../b.py")]), "leaves the package"),
    "a harmless parent": (archive([Member("a/../b.py")]), "leaves the package"),
    "an absolute name": (archive([Member("/etc/cron.d/a")]), "absolute"),
    "two slashes": (archive([Member("//a")]), "absolute"),
    "a backslash parent": (archive([Member("..\\a.py")]), "backslash"),
    "a drive": (archive([Member("C:\\a.py")]), "backslash"),
    "a null in a name": (archive([Member("a.py\0.txt")]), "null"),
    "no name": (archive([Member("./.")]), "without a name"),
    "a long name": (archive([Member("a" * 256)]), "too long"),
    "a long path": (archive([Member("/".join(["a" * 200] * 12))]), "too long"),
    "a name twice": (archive([Member("a"), Member("a")]), "there twice"),
    "a name twice, written differently": (archive([Member("a/b"), Member("./a//b")]), "there twice"),
    "a folder twice": (archive([folder("a/"), folder("a/")]), "there twice"),
    "a file and a folder": (archive([Member("a"), Member("a/b")]), "both a folder and something else"),
    "a folder and a file": (archive([Member("a/b"), Member("a")]), "there twice"),
    "a file below a link": (archive([link("a", "."), Member("a/b")]), "both a folder and something else"),
    "a link out": (archive([link("a", "../x")]), "leaves the package"),
    "an absolute link": (archive([link("a", "/etc/passwd")]), "leaves the package"),
    "a link out by a link": (
        archive([folder("d/e/"), link("d/e/up", "../.."), link("d/e/out", "up/../x")]),
        "leaves the package",
    ),
    "links in a ring": (archive([link("a", "b"), link("b", "a")]), "leads nowhere"),
    "an empty link": (archive([link("a", "")]), "broken link"),
    "a long link": (archive([link("a", "x" * 5000)]), "broken link"),
    "a pipe": (archive([Member("a", mode=stat.S_IFIFO | 0o644)]), "neither a file"),
    "a device": (archive([Member("a", mode=stat.S_IFBLK | 0o644)]), "neither a file"),
    "a socket": (archive([Member("a", mode=stat.S_IFSOCK | 0o644)]), "neither a file"),
    "an encrypted file": (with_flag(archive([Member("a", b"x")]), 1), "encrypted"),
    "bzip2": (archive([Member("a", b"x", compression=zipfile.ZIP_BZIP2)]), "unsupported method"),
    "lzma": (archive([Member("a", b"x", compression=zipfile.ZIP_LZMA)]), "unsupported method"),
    "a bomb": (archive([Member("a", bytes(200_000))]), "Unzipped size must be smaller than 100000 bytes"),
    "a bomb of two": (archive([Member("a", bytes(60_000)), Member("b", bytes(60_000))]), "Unzipped size"),
    "a bomb that lies": (with_declared_size(archive([Member("a", bytes(200_000))]), 10), COULD_NOT_UNZIP),
    "a size that lies": (with_declared_size(archive([Member("a", bytes(10))]), 50), COULD_NOT_UNZIP),
    "too many files": (archive([Member(f"f{n}") for n in range(51)]), "more than 50 entries"),
    "too many folders": (archive([Member("/".join(map(str, range(60))))]), "more than 50 entries"),
    "a broken checksum": (
        archive([Member("a", b"hello world", compression=0)]).replace(b"hello world", b"hello wOrld"),
        COULD_NOT_UNZIP,
    ),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_archive_is_refused_and_leaves_nothing_behind(
    packages: Packages, tmp_path: Path, name: str
) -> None:
    data, why = BAD[name]
    with pytest.raises(BadPackage) as refused:
        async with packages.accept(data):
            pass
    assert why in str(refused.value)
    with pytest.raises(BadPackage):
        await packages.check(data)
    assert left(tmp_path) == []
    assert folders(tmp_path) == []


async def test_a_package_is_unpacked_read_only_with_its_executables_and_links(packages: Packages) -> None:
    data = archive(
        [
            Member("./bin/run", b"#!", stat.S_IFREG | 0o4755),
            Member("lib/a.py", b"a = 1", stat.S_IFREG | 0o600),
            Member("Lib.txt", b"no type bits", 0),
            folder("empty/"),
            link("lib/latest.py", "a.py"),
            link("run", "bin/run"),
            link("dangling", "lib/later"),
        ]
    )
    async with packages.accept(data) as code:
        root = packages.path(code.sha256)
        modes = {
            str(p.relative_to(root)): stat.S_IMODE(p.lstat().st_mode) for p in root.rglob("*") if not p.is_symlink()
        }
        assert modes == {
            "bin": 0o555,
            "bin/run": 0o555,
            "lib": 0o555,
            "lib/a.py": 0o444,
            "Lib.txt": 0o444,
            "empty": 0o555,
        }
        assert stat.S_IMODE(root.stat().st_mode) == 0o555
        assert (root / "lib/latest.py").read_bytes() == b"a = 1"
        assert os.readlink(root / "run") == "bin/run"
        assert code.unpacked_bytes == 2 + 5 + 12
        assert code.size_bytes == len(data)


async def test_names_that_differ_in_case_are_two_files_where_the_disk_says_so(packages: Packages) -> None:
    async with packages.accept(archive([Member("a.py", b"1"), Member("A.py", b"2")])) as code:
        assert (packages.path(code.sha256) / "A.py").read_bytes() == b"2"


async def test_files_keep_the_time_of_the_archive_for_the_sake_of_compiled_modules(packages: Packages) -> None:
    async with packages.accept(archive([Member("a.py", b"1")])) as code:
        assert (packages.path(code.sha256) / "a.py").stat().st_mtime == 315532800  # 1980-01-01, as ZipInfo has it


async def test_the_same_archive_is_unpacked_once(packages: Packages, tmp_path: Path) -> None:
    data = archive([Member("a.py", b"1")])

    async def accepted() -> int:
        async with packages.accept(data) as code:
            return packages.path(code.sha256).stat().st_ino

    inodes = await asyncio.gather(*(accepted() for _ in range(8)))
    assert len(set(inodes)) == 1
    assert len(folders(tmp_path)) == 1


async def test_a_full_disk_is_a_platform_fault_and_leaves_nothing_behind(
    packages: Packages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(PlatformFault, match="No space left"):
            async with packages.accept(archive([Member("a.py", b"1")])):
                pass
    assert folders(tmp_path) == []
    async with packages.accept(archive([Member("a.py", b"1")])):
        pass


async def test_what_nobody_names_or_holds_is_collected(packages: Packages, tmp_path: Path) -> None:
    digests = []
    for text in (b"named", b"held", b"unused"):
        async with packages.accept(archive([Member("a.py", text)])) as code:
            digests.append(code.sha256)
    with packages.hold(digests[1]):
        assert await packages.collect(lambda: [digests[0]]) == 1
    assert sorted(folders(tmp_path)) == sorted(digests[:2])
    assert not packages.archive(digests[2]).exists()
    assert await packages.collect(lambda: [digests[0]]) == 1
    assert folders(tmp_path) == [digests[0]]


async def test_a_folder_that_is_gone_is_made_again_from_the_archive(packages: Packages, tmp_path: Path) -> None:
    async with packages.accept(archive([Member("a.py", b"1")])) as code:
        remove(packages.path(code.sha256))
        assert ((await packages.ready(code)) / "a.py").read_bytes() == b"1"


async def test_a_start_sweeps_what_a_crash_left_half_unpacked(packages: Packages, tmp_path: Path) -> None:
    half = tmp_path / "packages" / ".new-0123"
    (half / "lib").mkdir(parents=True)
    (half / "lib" / "a.py").write_text("half")
    again = Packages(tmp_path / "packages", Blobs(tmp_path / "blobs"), SMALL)
    await again.collect(list)
    assert folders(tmp_path) == []


async def test_folders_are_not_trusted_after_a_reboot(packages: Packages, tmp_path: Path) -> None:
    async with packages.accept(archive([Member("a.py", b"1")])) as code:
        pass
    (tmp_path / "packages" / ".boot").write_text("another boot")
    again = Packages(tmp_path / "packages", Blobs(tmp_path / "blobs"), SMALL)
    assert not again.path(code.sha256).exists()
    with again.hold(code.sha256):
        assert ((await again.ready(code)) / "a.py").read_bytes() == b"1"
        await again.collect(list)
        assert folders(tmp_path) == [code.sha256]
