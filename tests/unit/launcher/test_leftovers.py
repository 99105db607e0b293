import os
from pathlib import Path

from lambent.launcher import leftovers


def test_sweep_removes_groups_of_the_dead_only(tmp_path: Path) -> None:
    (tmp_path / "cgroup.procs").write_text("")
    alive = leftovers.owner_mark(os.getpid())
    reused = f"{os.getpid()}-1"
    for name in (f"lambent-a-{alive}/0", f"lambent-a-{reused}/0", "lambent-a-999999999-5/1", "lambent-b-999999999-5"):
        (tmp_path / name).mkdir(parents=True)
    leftovers.sweep([str(tmp_path), str(tmp_path / "not-there")], "lambent-a-")
    left = sorted(path.name for path in tmp_path.iterdir() if path.is_dir())
    assert left == [f"lambent-a-{alive}", "lambent-b-999999999-5"]


def test_record_is_read_back_and_may_be_missing(tmp_path: Path) -> None:
    record = str(tmp_path / "cgroups")
    assert leftovers.recorded(record) == []
    leftovers.write_record(record, ["/a", "/b"])
    assert leftovers.recorded(record) == ["/a", "/b"]
