from pathlib import Path

import pytest

from lambent.runtimes.layout import AWS_LAYOUT, RuntimeStart
from lambent.runtimes.starting import must_exec
from lambent.runtimes.variables import python_start_variables

START = RuntimeStart(
    "python3.12", Path("/usr"), ("/var/lang/bin/python3.12",), python_start_variables("python3.12", AWS_LAYOUT)
)


@pytest.mark.parametrize(
    "own",
    [
        {},
        {"TABLE": "t", "TZ": "Asia/Tokyo", "PATH": "/opt/bin", "HOME": "/tmp"},
        {"PYTHONPATH": "/opt/python:/var/runtime"},
        {"PYTHONPATH": "/opt/python", "AWS_LAMBDA_EXEC_WRAPPER": ""},
        {"LANG": START.variables["LANG"], "LD_LIBRARY_PATH": START.variables["LD_LIBRARY_PATH"]},
    ],
)
def test_variables_that_can_be_given_later(own: dict[str, str]) -> None:
    assert not must_exec(own, START)


@pytest.mark.parametrize(
    "own",
    [
        {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/wrap"},
        {"PYTHONHASHSEED": "0"},
        {"PYTHONUNBUFFERED": "1"},
        {"PYTHONPATH": "lib:/opt"},
        {"PYTHONPATH": ""},
        {"LD_PRELOAD": "/opt/lib/x.so"},
        {"LD_LIBRARY_PATH": "/opt/lib"},
        {"MALLOC_ARENA_MAX": "1"},
        {"GLIBC_TUNABLES": "glibc.malloc.check=3"},
        {"LANG": "C"},
        {"LC_ALL": "C.UTF-8"},
        {"LANGUAGE": "de"},
        {"GCONV_PATH": "/opt/gconv"},
    ],
)
def test_variables_that_are_read_when_a_program_starts(own: dict[str, str]) -> None:
    assert must_exec(own, START)
