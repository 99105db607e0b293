import pytest

from lambent.launcher import request
from lambent.launcher.request import Assign, BadRequest, Limits, Prepare, Start

LIMITS = {"memory_mb": 128, "tmp_mb": 512, "processes": 256}
PREPARE = {"do": "prepare", **LIMITS}
ASSIGN = {"do": "assign", "code": "sha/abc", "prefix": 1, **LIMITS}
START = {
    "do": "start",
    "name": "runtime",
    "argv": ["/var/lang/bin/python3", "x"],
    "variables": {"A": "b"},
    "folder": "/var/task",
    "open_files": 1024,
}


def test_good_requests_are_understood() -> None:
    assert request.prepare(PREPARE, 0) == Prepare(Limits(128, 512, 256), None, None)
    assert request.prepare(PREPARE | {"runtime": 1, "zygote": 7}, 2) == Prepare(Limits(128, 512, 256), 1, 7)
    assert request.assign(ASSIGN, 2) == Assign("sha/abc", None, 1, Limits(128, 512, 256))
    wanted = Start("runtime", ("/var/lang/bin/python3", "x"), {"A": "b"}, "/var/task", 1024, True)
    assert request.start(START, 0) == wanted
    assert request.start(START | {"must_exec": False}, 0).must_exec is False
    assert request.start(START | {"name": "extension/a b"}, 3).name == "extension/a b"


def test_variables_are_in_no_log() -> None:
    assert "secret" not in repr(request.start(START | {"variables": {"A": "secret"}}, 0))


def test_layers_are_a_second_folder() -> None:
    assert request.assign(ASSIGN | {"opt": "sha/def"}, 2).opt == "sha/def"


BAD_LIMITS: list[dict[str, object]] = [
    {"memory_mb": 0},
    {"memory_mb": 10**9},
    {"memory_mb": "128"},
    {"tmp_mb": 10241},
    {"processes": 1025},
    {"processes": None},
]


@pytest.mark.parametrize(
    "change",
    [*BAD_LIMITS, {"runtime": 2}, {"runtime": -1}, {"runtime": "0"}, {"runtime": True}, {"zygote": 0}, {"zygote": "1"}],
)
def test_every_other_preparation_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(BadRequest):
        request.prepare(PREPARE | change, 2)


@pytest.mark.parametrize(
    "change",
    [
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
        *BAD_LIMITS,
    ],
)
def test_every_other_assignment_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(BadRequest):
        request.assign(ASSIGN | change, 2)


def test_what_criu_is_to_do_names_sandboxes_by_number() -> None:
    order = {"do": "criu", "sandbox": 3, "like": 1, "memory_mb": 128}
    assert request.saving(order) == request.Saving(3, 1, 128)
    assert request.prepare(PREPARE | {"to_save": True}, 0).to_save
    assert request.prepare(PREPARE | {"like": 1}, 0).like == 1
    assert request.start(START | {"image": True, "must_exec": False}, 0)[5:] == (True, False, True)
    for change in ({"sandbox": -1}, {"like": "1"}, {"like": None}, {"memory_mb": 1 << 40}):
        with pytest.raises(BadRequest):
            request.saving(order | change)


def test_no_prefix_was_agreed() -> None:
    with pytest.raises(BadRequest, match="prefix"):
        request.assign(ASSIGN | {"prefix": 0}, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "pid 1"},
        {"name": "extension/"},
        {"name": "extension/" + "n" * 300},
        {"name": "extension/a\0"},
        {"name": None},
        {"argv": []},
        {"argv": "/bin/sh"},
        {"argv": ["a\0b"]},
        {"argv": [1]},
        {"variables": None},
        {"variables": {"A": 1}},
        {"variables": {"A": "b\0"}},
        {"variables": {"": "b"}},
        {"variables": {"A=B": "c"}},
        {"folder": "task"},
        {"folder": None},
        {"open_files": 0},
        {"open_files": "many"},
    ],
)
def test_every_other_start_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(BadRequest):
        request.start(START | change, 0)


def test_processes_of_one_sandbox_are_counted() -> None:
    with pytest.raises(BadRequest, match="64"):
        request.start(START, 65)


@pytest.mark.parametrize("number", [0, 32, -9, True, "9", None])
def test_signals_and_ports_are_in_bounds(number: object) -> None:
    with pytest.raises(BadRequest):
        request.signal_number({"number": number})
    with pytest.raises(BadRequest):
        request.port({"port": number if number != 32 else 65536})


def test_only_the_runtime_is_a_template_and_it_never_waits() -> None:
    wanted = {**START, "must_exec": False, "template": True}
    assert request.start(wanted, 0).template
    assert request.start(wanted, 0).must_exec
    with pytest.raises(request.BadRequest, match="only the runtime"):
        request.start({**wanted, "name": "extension/a"}, 0)


@pytest.mark.parametrize("number", [None, "1", True, 1.0])
def test_a_restore_names_a_template(number: object) -> None:
    limits = {"memory_mb": 128, "tmp_mb": 512, "processes": 256}
    assert request.restore({"do": "restore", "template": 3, **limits}).template == 3
    with pytest.raises(request.BadRequest, match="template"):
        request.restore({"do": "restore", "template": number, **limits})
