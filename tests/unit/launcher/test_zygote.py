"""What a zygote is told, and what it may be made of."""

import marshal
import os
from pathlib import Path

import pytest

from lambent.launcher import zygote
from lambent.launcher.hierarchies import Hierarchy
from lambent.launcher.request import BadRequest, Runtime
from lambent.launcher.zygotes import MOST, Zygotes

SET_UP = zygote.SetUp(
    number=1,
    namespaces=0x20000000,
    prefixes=1,
    tmp_blanks={512: ((0, b"x"), (4096, b"y"))},
    user_namespace=True,
    filter=b"bpf",
    template_filter=None,
    parents=((Hierarchy(1, "/sys/fs/cgroup/memory", ("memory",)), "/.lambent/cgroups/0"),),
    runtime=Runtime(0, ("/var/lang/bin/python3.12", "-S", "/var/runtime/bootstrap.py"), {"LANG": "C"}),
)


def test_what_it_is_told_arrives_as_it_was() -> None:
    """By marshal, since the two may be of different versions of Python."""
    assert zygote._set_up(marshal.dumps(zygote._plain(SET_UP), zygote._MARSHAL_VERSION)) == SET_UP


def test_file_of_others_is_not_run_with_our_privileges(tmp_path: Path) -> None:
    file = tmp_path / "python"
    file.write_text("")
    file.chmod(0o755)
    assert zygote._is_ours(str(file))
    file.chmod(0o757)
    assert not zygote._is_ours(str(file))
    assert not zygote._is_ours(str(tmp_path / "missing"))
    if os.geteuid() == 0:
        file.chmod(0o775)
        os.chown(file, 0, 1000)
        assert not zygote._is_ours(str(file))
        os.chown(file, 1000, 0)
        assert not zygote._is_ours(str(file))


def test_there_are_never_more_than_a_few() -> None:
    zygotes = Zygotes(None)
    zygotes._zygotes = dict.fromkeys(range(MOST))  # type: ignore[assignment]
    with pytest.raises(BadRequest, match="more than"):
        zygotes.start(SET_UP, 0, None)  # type: ignore[arg-type]
