"""Whatever an archive holds: it is refused and leaves nothing, or it is unpacked inside its folder and nowhere else."""

import asyncio
import os
import stat
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from lambent.functions.archive import BadPackage
from lambent.functions.packages import Packages
from lambent.functions.quotas import Quotas
from lambent.functions.records import CodePackage
from lambent.store.blobs import Blobs
from tests.unit.functions.archives import Member, archive

LIMITS = Quotas(max_unzipped_bytes=4096, max_package_entries=30)

parts = st.sampled_from(["a", "b", "A", "..", ".", "", "\\", "é", "d", "\0", "C:", "x" * 256])
names = st.lists(parts, min_size=1, max_size=5).map("/".join)
modes = st.sampled_from(
    [0, stat.S_IFREG | 0o644, stat.S_IFREG | 0o6777, stat.S_IFDIR | 0o755, stat.S_IFLNK | 0o777, stat.S_IFIFO, 0o755]
)


@st.composite
def members(draw: st.DrawFn) -> Member:
    mode = draw(modes)
    name = draw(names)
    data = draw(names).encode() if stat.S_ISLNK(mode) else draw(st.binary(max_size=64) | st.just(bytes(3000)))
    compression = draw(st.sampled_from([0, 8]))
    return Member(name + ("/" if stat.S_ISDIR(mode) else ""), data, mode, compression)


async def accept(place: Path, data: bytes) -> CodePackage | None:
    packages = Packages(place / "packages", Blobs(place / "blobs"), LIMITS)
    try:
        async with packages.accept(data) as code:
            return code
    except BadPackage:
        return None
    finally:
        packages.close()


def check(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary) / "data"
        place.mkdir()
        code = asyncio.run(accept(place, data))
        assert os.listdir(temporary) == ["data"]
        unpacked = [item for item in (place / "packages").iterdir() if item.name != ".boot"]
        if code is None:
            assert unpacked == []
            assert not [item for item in (place / "blobs").rglob("*") if item.is_file()]
            return
        assert [item.name for item in unpacked] == [code.sha256]
        _check_tree(unpacked[0], code)


def _check_tree(root: Path, code: CodePackage) -> None:
    total = 0
    for where, folders, files in os.walk(root):
        for name in (*folders, *files):
            item = Path(where) / name
            kind = item.lstat()
            if stat.S_ISLNK(kind.st_mode):
                assert Path(os.path.realpath(item)).is_relative_to(root.resolve())
            elif stat.S_ISREG(kind.st_mode):
                total += kind.st_size
                assert stat.S_IMODE(kind.st_mode) in (0o444, 0o555)
            else:
                assert stat.S_ISDIR(kind.st_mode)
                assert stat.S_IMODE(kind.st_mode) == 0o555
    assert total == code.unpacked_bytes < LIMITS.max_unzipped_bytes


@settings(max_examples=150, deadline=None)
@given(st.lists(members(), min_size=1, max_size=12))
def test_any_members_are_refused_or_stay_inside(content: list[Member]) -> None:
    check(archive(content))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(members(), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_a_damaged_archive_is_refused_or_still_whole(content: list[Member], damage: list[tuple[int, int]]) -> None:
    data = bytearray(archive(content))
    for at, value in damage:
        data[at % len(data)] = value
    check(bytes(data))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_are_refused(data: bytes) -> None:
    check(b"PK\x05\x06" + data)
    check(data)
