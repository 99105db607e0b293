"""Which sandboxes are for CRIU, and how long the user of one is kept for those that are like it."""

import os
from pathlib import Path

import pytest

from lambent.launcher import base_tree, request
from lambent.launcher.request import BadRequest, Limits, Prepare, Saving
from lambent.launcher.restore.saved import Saved, sweep

LIMITS = Limits(128, 512, 256)
TO_SAVE = Prepare(LIMITS, None, None, to_save=True)
LIKE_IT = Prepare(LIMITS, None, None, like=1)
ORDINARY = Prepare(LIMITS, None, None)


def made() -> Saved:
    saved = Saved(None)
    saved.add(1, TO_SAVE)
    return saved


def test_a_number_is_free_when_the_last_that_has_its_user_is_gone() -> None:
    saved = made()
    saved.check(LIKE_IT)
    saved.add(2, LIKE_IT)
    saved.add(3, LIKE_IT)
    assert saved.end(2) == [2]
    assert saved.end(1) == []
    assert sorted(saved.end(3)) == [1, 3]
    assert saved.end(4) == [4]


def test_only_what_is_like_a_saved_one_gets_its_runtime() -> None:
    saved = made()
    saved.add(2, LIKE_IT)
    saved.add(3, ORDINARY)
    assert saved.folder(Saving(1, 1, 128)) == saved.folder(Saving(2, 1, 128))
    for sandbox, like in ((3, 1), (3, 3), (2, 2), (1, 2)):
        with pytest.raises(BadRequest):
            saved.folder(Saving(sandbox, like, 128))
    saved.end(1)
    with pytest.raises(BadRequest):
        saved.check(LIKE_IT)


def test_what_was_saved_goes_with_its_sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_tree, "IMAGES", str(tmp_path))
    saved = made()
    folder = Path(saved.folder(Saving(1, 1, 128)))
    folder.mkdir()
    (folder / "pages.img").write_text("memory")
    saved.end(1)
    assert os.listdir(tmp_path) == []


def test_a_start_sweeps_what_was_saved_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "saved-7").mkdir()
    (tmp_path / "saved-7" / "pages.img").write_text("memory")
    (tmp_path / "cgroups").write_text("")
    sweep(str(tmp_path))
    assert os.listdir(tmp_path) == ["cgroups"]


def test_an_order_is_three_numbers() -> None:
    with pytest.raises(BadRequest):
        request.saving({"sandbox": True, "like": 1, "memory_mb": 128})
