import pytest

from lambent.launcher.request import BadRequest, Create, parse

GOOD = {"do": "create", "code": "sha/abc", "prefix": 1, "memory_mb": 128, "tmp_mb": 512, "processes": 256}


def test_good_request_is_understood() -> None:
    assert parse(GOOD, 2) == Create("sha/abc", None, 1, 128, 512, 256)


def test_layers_are_a_second_folder() -> None:
    assert parse(GOOD | {"opt": "sha/def"}, 2).opt == "sha/def"


@pytest.mark.parametrize(
    "change",
    [
        {"do": "mount"},
        {"do": None},
        {"code": "/etc"},
        {"code": ".."},
        {"code": "a/../../etc"},
        {"code": "a//b"},
        {"code": "./a"},
        {"code": ""},
        {"code": "a\0b"},
        {"code": ["a"]},
        {"opt": ".."},
        {"opt": "/etc"},
        {"opt": ""},
        {"opt": 1},
        {"prefix": 2},
        {"prefix": -1},
        {"prefix": True},
        {"prefix": 0.5},
        {"memory_mb": 0},
        {"memory_mb": 10**9},
        {"memory_mb": "128"},
        {"tmp_mb": 10241},
        {"processes": 1025},
        {"processes": None},
    ],
)
def test_everything_else_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(BadRequest):
        parse(GOOD | change, 2)


def test_no_prefix_was_agreed() -> None:
    with pytest.raises(BadRequest, match="prefix"):
        parse(GOOD | {"prefix": 0}, 0)
