"""Which numbers the functions of a launcher without root get."""

from pathlib import Path

import pytest

from lambent.launcher import user_namespace
from lambent.launcher.user_namespace import _free_part, _Range, _share, _subordinate


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("someone:200000:65536\n", None),
        ("0:200000:65536\n", _Range(200_000, 65_536)),
        ("someone:1:2\nroot:300000:1000\n", _Range(300_000, 1000)),
        ("root:300000\nroot:x:y\n", None),
        ("root:300000:0\n", None),
    ],
)
def test_the_range_of_a_user_is_found_by_name_or_number(tmp_path: Path, line: str, found: object) -> None:
    (tmp_path / "subuid").write_text(line)
    assert _subordinate(str(tmp_path / "subuid"), 0) == found


def test_without_the_file_there_is_no_range(tmp_path: Path) -> None:
    assert _subordinate(str(tmp_path / "none"), 0) is None


def test_two_data_dirs_of_a_user_get_different_parts_of_the_range() -> None:
    parts = {_share(65_536, f"{number:08x}") for number in range(16)}
    assert len(parts) == 16
    assert all(each.first >= 1 and each.first + each.size <= 65_537 for each in parts)


def test_a_short_range_is_taken_whole() -> None:
    assert _share(1000, "deadbeef") == (1, 1000, None)


@pytest.mark.parametrize("extents", [[_Range(0, 4_294_967_295)], [_Range(0, 1), _Range(1, 65_536)]])
def test_a_root_without_the_other_privileges_takes_numbers_far_from_those_of_users(extents: list[_Range]) -> None:
    free = _free_part(extents)
    assert free.start >= 32_769
    assert free.start + free.size <= extents[-1].start + extents[-1].size


def test_a_refusal_names_the_setting_that_refuses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "setting").write_text("0\n")
    refusing = ((f"../..{tmp_path}/setting", "0", "a setting is 0"),)
    monkeypatch.setattr(user_namespace, "REFUSING", refusing)
    assert user_namespace._why(PermissionError(1, "Operation not permitted")) == "a setting is 0"
    (tmp_path / "setting").write_text("1\n")
    assert "refuses a user namespace" in user_namespace._why(PermissionError(1, "Operation not permitted"))
