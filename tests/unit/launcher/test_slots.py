"""Numbers of sandboxes: given again only when nothing of the one before is left."""

from pathlib import Path

import pytest

from lambent.launcher.request import BadRequest
from lambent.launcher.slots import Slots


def test_the_lowest_free_number_is_taken() -> None:
    slots = Slots(8, [])
    assert [slots.take(), slots.take(), slots.take()] == [0, 1, 2]
    slots.end(1)
    slots.end(0)
    assert [slots.take(), slots.take(), slots.take()] == [0, 1, 3]


def test_more_sandboxes_than_numbers_are_refused() -> None:
    slots = Slots(1, [])
    slots.give_back(slots.take())
    slots.take()
    with pytest.raises(BadRequest, match="more than 1 sandboxes"):
        slots.take()


def test_a_number_whose_cgroup_stays_is_not_used_until_it_is_gone(tmp_path: Path) -> None:
    held = tmp_path / "0" / "something"
    held.mkdir(parents=True)
    slots = Slots(8, [str(tmp_path)])
    slots.end(slots.take())
    assert slots.take() == 1
    held.rmdir()
    slots.clear_doubts()
    assert not (tmp_path / "0").exists()
    assert slots.take() == 0
