"""Merged layers among the packages: shared files, one folder for the same list, collected like packages."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lambent.functions.opt import opt_digest
from lambent.functions.packages import Packages
from lambent.functions.quotas import Quotas
from lambent.functions.records import CodePackage
from lambent.functions.unpack import remove
from lambent.store.blobs import Blobs
from tests.unit.functions.archives import Member, archive


@pytest.fixture
def packages(tmp_path: Path) -> Iterator[Packages]:
    packages = Packages(tmp_path / "packages", Blobs(tmp_path / "blobs"), Quotas())
    yield packages
    packages.close()


async def stored(packages: Packages, *texts: bytes) -> list[CodePackage]:
    found = []
    for text in texts:
        async with packages.accept(archive([Member("bin/tool", text), Member(text.decode(), text)])) as code:
            found.append(code)
    return found


async def test_no_layer_and_one_need_no_folder_of_their_own(packages: Packages) -> None:
    assert await packages.ready_opt([]) is None
    (only,) = await stored(packages, b"one")
    assert await packages.ready_opt([only]) == packages.path(only.sha256)


async def test_layers_are_merged_once_and_share_their_files(packages: Packages) -> None:
    layers = await stored(packages, b"one", b"two")
    made = await asyncio.gather(*(packages.ready_opt(layers) for _ in range(5)))
    folder = made[0]
    assert folder is not None
    assert set(made) == {folder}
    assert sorted(place.name for place in folder.iterdir()) == ["bin", "one", "two"]
    assert (folder / "bin/tool").read_bytes() == b"two"
    assert (folder / "one").samefile(packages.path(layers[0].sha256) / "one")
    assert opt_digest(layers) != opt_digest(layers[::-1])


async def test_a_file_is_copied_where_it_cannot_be_linked(packages: Packages, monkeypatch: pytest.MonkeyPatch) -> None:
    layers = await stored(packages, b"one", b"two")

    def no_link(*_: object, **__: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", no_link)
    folder = await packages.ready_opt(layers)
    assert folder is not None
    assert (folder / "one").read_bytes() == b"one"
    assert not (folder / "one").samefile(packages.path(layers[0].sha256) / "one")


async def test_a_merged_folder_is_made_again_when_all_folders_are_gone(packages: Packages) -> None:
    """As after a reboot: the archives are what stays."""
    layers = await stored(packages, b"one", b"two")
    folder = await packages.ready_opt(layers)
    assert folder is not None
    for place in (folder, *(packages.path(layer.sha256) for layer in layers)):
        remove(place)
    assert await packages.ready_opt(layers) == folder
    assert (folder / "one").read_bytes() == b"one"


async def test_a_merged_folder_is_collected_like_a_package(packages: Packages) -> None:
    layers = await stored(packages, b"one", b"two")
    folder = await packages.ready_opt(layers)
    assert folder is not None
    with packages.hold_opt(layers):
        assert await packages.collect(lambda: ()) == 0
        assert folder.is_dir()
    assert await packages.collect(lambda: ()) == 3
    assert not folder.exists()
