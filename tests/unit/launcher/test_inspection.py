"""What is read of a clone, and refused. The attacks themselves are in tests/e2e/test_snapshot_escapes.py."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lambent.launcher.restore import inspection
from lambent.launcher.restore.inspection import NotAClone, Proc

GOOD = {
    **dict.fromkeys(("CapInh", "CapPrm", "CapEff", "CapAmb"), "0000000000000000"),
    "CapBnd": "0000000000200000",
    "NoNewPrivs": "1",
    "Seccomp": "2",
    "Threads": "1",
    "NSsid": "4242\t7\t1",
    "NSpgid": "4242\t7\t1",
}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"CapEff": "0000000000200000"}, "capability"),
        ({"CapAmb": "0000000000200000"}, "capability"),
        ({"NoNewPrivs": "0"}, "not confined"),
        ({"Seccomp": "0"}, "not confined"),
        ({"Threads": "2"}, "thread"),
        ({"NSsid": "4000\t2\t0"}, "session"),
        ({"NSpgid": "4000\t2\t0"}, "session"),
    ],
)
def test_a_status_that_is_not_a_clones_is_refused(change: dict[str, str], told: str) -> None:
    inspection._check_status(GOOD)
    with pytest.raises(NotAClone, match=told):
        inspection._check_status(GOOD | change)


V1 = "4:memory:/outer/lambent-1/7\n3:cpu,cpuacct:/lambent-1/7\n0::/lambent-1/5\n"


@pytest.mark.parametrize(
    ("wanted", "good"),
    [
        (["memory:/lambent-1/7", "cpu:/lambent-1/7"], True),
        (["memory:/lambent-1/8"], False),
        (["memory:/1/7"], False),
        (["pids:/lambent-1/7"], False),
        ([":/lambent-1/5"], True),
        ([":/lambent-1/7"], False),
        ([], True),
    ],
)
def test_every_group_is_looked_at(wanted: list[str], good: bool) -> None:
    if good:
        inspection._check_groups(V1, wanted)
    else:
        with pytest.raises(NotAClone, match="cgroup"):
            inspection._check_groups(V1, wanted)


def test_memory_that_is_shared_and_written_is_refused() -> None:
    inspection._check_memory("7f00-7f01 rw-p 0 00:00 0\n7f02-7f03 r--s 0 08:01 5 /usr/lib/locale\n")
    with pytest.raises(NotAClone, match="shares memory"):
        inspection._check_memory("7f00-7f01 rw-s 0 00:01 5 /dev/zero (deleted)\n")


@pytest.mark.parametrize("kind", ["r--s", "---s", "rw-p", "r--p"])
def test_memory_of_a_file_without_a_name_is_refused(kind: str) -> None:
    with pytest.raises(NotAClone, match="shares memory"):
        inspection._check_memory(f"7f00-7f01 {kind} 0 00:01 5                  /memfd:x y (deleted)\n")


def test_a_process_of_the_host_is_no_clone() -> None:
    proc = Proc(os.open("/proc", os.O_PATH | os.O_DIRECTORY))
    with pytest.raises(NotAClone, match="not a child"):
        inspection.identify(proc, os.getpid(), 1 if os.getppid() != 1 else 2)
    with pytest.raises(NotAClone, match="first of a namespace"):
        inspection.identify(proc, os.getpid(), os.getppid())
    with pytest.raises(NotAClone, match="cannot be looked at"):
        inspection.identify(proc, int(Path("/proc/sys/kernel/pid_max").read_text()) + 1, 1)


@pytest.mark.parametrize("stopped_again", [True, False])
def test_a_clone_that_was_woken_while_it_was_looked_at_is_refused(
    monkeypatch: pytest.MonkeyPatch, stopped_again: bool
) -> None:
    with subprocess.Popen(("sleep", "60")) as process:
        proc = Proc(os.open("/proc", os.O_PATH | os.O_DIRECTORY))
        clone = inspection.Clone(process.pid, os.pidfd_open(process.pid), process.pid)

        def wake(_: str) -> None:
            process.send_signal(signal.SIGCONT)
            while proc.status(process.pid)["State"].startswith("T"):
                pass
            if stopped_again:
                inspection._stop(proc, clone)

        for name in ("_check_status", "_check_groups", "_check_alone", "_check_files"):
            monkeypatch.setattr(inspection, name, lambda *_: None)
        nothing: dict[str, Any] = {name: frozenset() for name in ("groups", "others", "sockets", "pipes", "devices")}
        try:
            monkeypatch.setattr(inspection, "_check_memory", lambda _: None)
            inspection.check(proc, clone, template_first=1, **nothing)
            monkeypatch.setattr(inspection, "_check_memory", wake)
            with pytest.raises(NotAClone, match="stand still"):
                inspection.check(proc, clone, template_first=1, **nothing)
        finally:
            process.kill()
