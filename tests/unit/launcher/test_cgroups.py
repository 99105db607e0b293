import errno
from pathlib import Path

import pytest

from lambent.launcher import cgroups, hierarchies
from lambent.launcher.cgroups import Limits
from lambent.launcher.hierarchies import Hierarchy
from lambent.launcher.kernel import files

V1_MOUNTS = """\
30 25 0:26 / {top} ro,nosuid shared:9 - tmpfs tmpfs ro,mode=755
33 30 0:29 / {top}/memory rw,relatime shared:14 - cgroup cgroup rw,memory
34 30 0:30 / {top}/cpu,cpuacct rw,relatime shared:15 - cgroup cgroup rw,cpu,cpuacct
35 30 0:31 / {top}/pids rw,relatime shared:16 - cgroup cgroup rw,pids
36 30 0:32 / {top}/freezer rw,relatime shared:17 - cgroup cgroup rw,freezer
"""
V1_OWN = "9:name=systemd:/\n4:memory:/job/one\n3:cpu,cpuacct:/\n2:pids:/\n1:freezer:/\n"
V2_MOUNT = "30 25 0:26 {root} {top}/unified rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"


@pytest.fixture
def top(tmp_path: Path) -> Path:
    for folder in ("memory/job/one", "cpu,cpuacct", "pids", "freezer", "unified/my.scope"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


def test_group_that_an_earlier_launcher_has_moved_us_out_of_is_still_ours(top: Path) -> None:
    (top / "unified" / "box" / "lambent-launcher").mkdir(parents=True)
    mounts, box = V2_MOUNT.format(top=top, root="/"), f"{top}/unified/box"
    assert hierarchies.plan(mounts, "0::/box/lambent-launcher\n", {box: "memory"})[0].folder == box
    assert (
        hierarchies.plan(mounts, "0::/lambent-launcher\n", {f"{top}/unified": "memory"})[0].folder == f"{top}/unified"
    )


def test_v2_group_is_emptied_of_its_processes_and_those_that_have_ended_do_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved: list[tuple[str, str]] = []

    def write(path: str, text: str) -> None:
        if path == f"{tmp_path}/cgroup.subtree_control" and len(moved) < 4:
            raise OSError(errno.EBUSY, "a process has come")
        moved.append((path.removeprefix(f"{tmp_path}/"), text))
        if text == "2":
            raise ProcessLookupError

    (tmp_path / "cgroup.type").write_text("domain\n")
    (tmp_path / "cgroup.procs").write_text("1\n2\n")
    monkeypatch.setattr(files, "write", write)
    (made,) = cgroups.prepare((Hierarchy(2, str(tmp_path), ("memory", "freezer")),), "lambent-1")
    moves = [("lambent-launcher/cgroup.procs", "1"), ("lambent-launcher/cgroup.procs", "2")]
    controllers = [("cgroup.subtree_control", "+memory"), ("lambent-1/cgroup.subtree_control", "+memory")]
    assert moved == [*moves, *moves, *controllers]
    assert made == f"{tmp_path}/lambent-1"


def test_v1_controllers_are_taken_below_our_own_cgroup(top: Path) -> None:
    assert hierarchies.plan(V1_MOUNTS.format(top=top), V1_OWN, {}) == (
        Hierarchy(1, f"{top}/memory/job/one", ("memory",)),
        Hierarchy(1, f"{top}/cpu,cpuacct", ("cpu",)),
        Hierarchy(1, f"{top}/pids", ("pids",)),
        Hierarchy(1, f"{top}/freezer", ("freezer",)),
    )


def test_v2_has_all_of_them_in_one_folder_and_freezes_without_a_controller(top: Path) -> None:
    scope = f"{top}/unified/my.scope"
    found = hierarchies.plan(V2_MOUNT.format(top=top, root="/"), "0::/my.scope\n", {scope: "cpuset cpu io memory pids"})
    assert found == (Hierarchy(2, scope, ("memory", "cpu", "pids", "freezer")),)


def test_machine_with_both_limits_by_v1_and_freezes_by_v2(top: Path) -> None:
    mounts = V1_MOUNTS.format(top=top) + V2_MOUNT.format(top=top, root="/")
    found = hierarchies.plan(mounts, V1_OWN + "0::/my.scope\n", {f"{top}/unified/my.scope": "hugetlb"})
    assert {name: (each.version, each.folder) for each in found for name in each.controllers} == {
        "memory": (1, f"{top}/memory/job/one"),
        "cpu": (1, f"{top}/cpu,cpuacct"),
        "pids": (1, f"{top}/pids"),
        "freezer": (2, f"{top}/unified/my.scope"),
    }


def test_container_that_sees_only_a_part_of_the_hierarchy_uses_what_it_sees(top: Path) -> None:
    mounts = V2_MOUNT.format(top=top, root="/docker/abc")
    own = "0::/docker/abc/my.scope\n"
    (found,) = hierarchies.plan(mounts, own, {f"{top}/unified/my.scope": "memory"})
    assert found.folder == f"{top}/unified/my.scope"


def test_path_that_is_not_there_means_the_top_of_what_is_mounted(top: Path) -> None:
    (found,) = hierarchies.plan(V2_MOUNT.format(top=top, root="/"), "0::/elsewhere\n", {f"{top}/unified": "memory"})
    assert found == Hierarchy(2, f"{top}/unified", ("memory", "freezer"))


def test_nothing_mounted_is_nothing_found() -> None:
    assert hierarchies.plan("25 1 8:1 / / rw - ext4 /dev/sda1 rw\n", "0::/\n", {}) == ()


@pytest.mark.parametrize(
    ("version", "cpus", "written"),
    [
        (1, 1.0, b"20000"),
        (1, 128 / 1769, b"1447"),
        (1, 0.001, b"1000"),
        (1, 5.79, b"115800"),
        (1, None, b"-1"),
        (2, 0.5, b"10000 20000"),
        (2, None, b"max 20000"),
    ],
)
def test_quota_is_a_share_of_a_short_period(version: int, cpus: float | None, written: bytes) -> None:
    assert cgroups.quota(version, cpus) == written


def test_freezer_words_of_both_versions() -> None:
    assert [cgroups.freeze(1, True), cgroups.freeze(1, False)] == [b"FROZEN", b"THAWED"]
    assert [cgroups.freeze(2, True), cgroups.freeze(2, False)] == [b"1", b"0"]


def test_kills_are_read_from_both_formats() -> None:
    assert cgroups.oom_kills(b"oom_kill_disable 0\nunder_oom 0\noom_kill 3\n") == 3
    assert cgroups.oom_kills(b"low 0\nhigh 0\nmax 9\noom 2\noom_kill 1\noom_group_kill 1\n") == 1
    assert cgroups.oom_kills(b"") == 0


def test_what_a_group_holds_is_no_page_cache() -> None:
    v1 = b"cache 900\nrss 100\nshmem 7\ntotal_cache 900\ntotal_rss 120\ntotal_shmem 8\n"
    v2 = b"anon 120\nfile 900\nshmem 8\nfile_mapped 3\n"
    assert (cgroups.held_bytes(v1), cgroups.held_bytes(v2), cgroups.held_bytes(b"")) == (128, 128, 0)


def test_limits_of_v2_leave_no_swap_and_kill_the_whole_group() -> None:
    assert cgroups.settings(2, Limits(128 << 20, 256)) == {
        "memory": (("memory.max", "134217728"), ("memory.swap.max", "0"), ("memory.oom.group", "1")),
        "cpu": (("cpu.max", "max 20000"),),
        "pids": (("pids.max", "256"),),
        "freezer": (),
    }


def test_limits_of_v1_set_memory_before_its_sum_with_swap() -> None:
    files = [file for file, _ in cgroups.settings(1, Limits(128 << 20, 256))["memory"]]
    assert files.index("memory.limit_in_bytes") < files.index("memory.memsw.limit_in_bytes")


@pytest.mark.parametrize(("before", "after"), [(128, 64), (64, 128)])
def test_memory_with_swap_is_never_less_than_memory_without(before: int, after: int) -> None:
    hierarchy = Hierarchy(1, "/", ("memory", "pids"))
    held = {"memory.limit_in_bytes": before, "memory.memsw.limit_in_bytes": before}
    for file, value in cgroups.changes(hierarchy, Limits(before, 8), Limits(after, 8)):
        if file in held:
            held[file] = int(value)
            assert held["memory.limit_in_bytes"] <= held["memory.memsw.limit_in_bytes"]
    assert set(held.values()) == {after}


def test_only_what_differs_is_changed() -> None:
    hierarchy = Hierarchy(2, "/", ("memory", "cpu", "pids", "freezer"))
    assert cgroups.changes(hierarchy, Limits(64, 8), Limits(64, 8)) == []
    assert cgroups.changes(hierarchy, Limits(64, 8), Limits(64, 9)) == [("pids.max", "9")]
    assert cgroups.changes(hierarchy, Limits(64, 8), Limits(65, 8)) == [("memory.max", "65")]
