"""What the doctor makes of a machine."""

from dataclasses import replace

import click
import pytest

from lambent.cli import diagnosis
from lambent.cli.diagnosis import Verdict, diagnose, internet
from lambent.cli.doctor import render
from lambent.cli.machine import Machine

GOOD = Machine(
    system="Linux",
    kernel="6.8",
    architecture="x86_64",
    python="3.11.2 (/usr/bin/python3)",
    root=True,
    cgroup="v2",
    controllers=frozenset({"cpu", "memory", "pids", "freezer"}),
    user_namespaces=True,
    refusing=None,
    newuidmap=True,
    subordinate_ids=True,
    delegated=frozenset({"cpu", "memory", "pids"}),
    systemd=True,
    loop_devices=True,
    landlock=4,
    libseccomp=True,
    mke2fs=True,
    apt=True,
    memory_mb=4096,
    cpus=2,
    command=".venv/bin/lambent",
    executable="/usr/bin/python3.11",
    user="someone",
)


def test_a_good_machine_has_no_complaint() -> None:
    assert {finding.verdict for finding in diagnose(GOOD)} == {Verdict.OK}


@pytest.mark.parametrize(
    ("change", "subject", "mend"),
    [
        ({"root": False}, "privileges", "sudo .venv/bin/lambent up"),
        ({"libseccomp": False}, "libraries", "sudo apt-get install libseccomp2"),
        ({"libseccomp": False, "mke2fs": False}, "libraries", "sudo apt-get install libseccomp2 e2fsprogs"),
        ({"mke2fs": False, "apt": False}, "libraries", "install e2fsprogs"),
        ({"loop_devices": False}, "loop devices", "sudo modprobe loop"),
        (
            {"user_namespaces": False, "refusing": "user.max_user_namespaces"},
            "kernel",
            "sudo sysctl user.max_user_namespaces=15000",
        ),
        ({"system": "Darwin"}, "system", "run Lambent on Linux, or in a Linux virtual machine"),
    ],
)
def test_what_is_missing_comes_with_what_mends_it(change: dict[str, object], subject: str, mend: str) -> None:
    found = [f for f in diagnose(replace(GOOD, **change)) if f.verdict is not Verdict.OK]  # type: ignore[arg-type]
    assert [(f.subject, f.verdict, f.mend) for f in found] == [(subject, Verdict.WARN, mend)]


@pytest.mark.parametrize(
    ("change", "subject", "mend"),
    [
        ({"newuidmap": False}, "rootless", "sudo apt-get install uidmap"),
        ({"subordinate_ids": False}, "rootless", "--add-subuids 100000-165535 --add-subgids 100000-165535 someone"),
        ({"delegated": frozenset()}, "cgroups", "sudo loginctl enable-linger someone"),
        ({"delegated": frozenset({"memory", "pids"})}, "cgroups", "Delegate=cpu memory pids"),
        ({"delegated": frozenset(), "systemd": False}, "cgroups", "a control group that belongs to its user"),
    ],
)
def test_what_an_ordinary_user_misses_comes_with_what_mends_it(
    change: dict[str, object], subject: str, mend: str
) -> None:
    machine = replace(GOOD, root=False, **change)  # type: ignore[arg-type]
    found = [f for f in diagnose(machine) if f.verdict is not Verdict.OK and f.subject != "privileges"]
    assert [f.subject for f in found] == [subject]
    assert mend in (found[0].mend or "")


@pytest.mark.parametrize(
    ("refusing", "mend"),
    [
        ("kernel.unprivileged_userns_clone", "sudo sysctl kernel.unprivileged_userns_clone=1"),
        ("user.max_user_namespaces", "sudo sysctl user.max_user_namespaces=15000"),
        ("kernel.apparmor_restrict_unprivileged_userns", "profile lambent /usr/bin/python3.11 flags=(unconfined)"),
    ],
)
def test_refused_user_namespaces_name_the_setting_and_what_mends_it(refusing: str, mend: str) -> None:
    machine = replace(GOOD, root=False, user_namespaces=False, refusing=refusing)
    found = next(f for f in diagnose(machine) if f.subject == "rootless")
    assert refusing in found.text
    assert mend in (found.mend or "")


@pytest.mark.parametrize("change", [{"cgroup": None}, {"controllers": frozenset({"cpu", "pids"})}])
def test_missing_limits_are_named(change: dict[str, object]) -> None:
    found = next(f for f in diagnose(replace(GOOD, **change)) if f.subject == "cgroups")  # type: ignore[arg-type]
    assert found.verdict is Verdict.WARN
    assert "memory" in found.text


def test_a_machine_without_any_interpreter_fails() -> None:
    assert diagnosis.runtimes({}, ["python3.9"], None).verdict is Verdict.FAIL


def test_missing_interpreters_are_named_but_no_fault() -> None:
    found = diagnosis.runtimes(
        {"python3.11": "/usr/bin/python3.11"}, ["python3.12", "python3.13"], "pyenv install 3.13"
    )
    assert found.verdict is Verdict.OK
    assert found.text == "python3.11 (not here: python3.12, python3.13)"
    assert found.mend == "pyenv install 3.13"


def test_a_complete_sandbox_is_shown_with_its_guarantees() -> None:
    found = diagnosis.sandbox("native", {"filesystem": True, "network": True}, {}, None)
    assert (found.verdict, found.text) == (Verdict.OK, "native: filesystem, network")


def test_a_missing_guarantee_is_named_with_its_reason() -> None:
    found = diagnosis.sandbox("native", {"filesystem": True, "tmp": False}, {"tmp": "no loop devices"}, None)
    assert (found.verdict, found.text) == (Verdict.WARN, "native: filesystem\nwithout tmp: no loop devices")


def test_another_sandbox_says_why_it_is_not_the_native_one() -> None:
    found = diagnosis.sandbox("process", {"network": False}, {"network": "a plain process"}, "needs root")
    assert (found.verdict, found.text) == (Verdict.WARN, "process, no isolation: needs root")


def test_a_sandbox_between_the_two_names_what_it_gives_what_not_and_why_it_is_not_native() -> None:
    missing = {"memory": "no groups", "tmp": "memory", "cpu": "no groups"}
    found = diagnosis.sandbox("rootless", {"filesystem": True} | dict.fromkeys(missing, False), missing, "no root")
    assert found.text.split("\n") == [
        "rootless: filesystem",
        "without memory, cpu: no groups",
        "without tmp: memory",
        "not native: no root",
    ]
    lines = [click.unstyle(line) for line in render([found])]
    assert {line.index(text) for line, text in zip(lines, found.text.split("\n"), strict=True)} == {16}


def test_a_port_of_another_program_suggests_another_port() -> None:
    assert diagnosis.port("127.0.0.1", 4566, free=False, ours=False).mend == "lambent up --port 4567"
    assert diagnosis.port("127.0.0.1", 4566, free=False, ours=True).verdict is Verdict.OK


def test_the_mending_command_stands_under_the_text() -> None:
    lines = [click.unstyle(line) for line in render(diagnose(replace(GOOD, loop_devices=False)))]
    at = next(i for i, line in enumerate(lines) if "loop devices" in line)
    assert lines[at + 1].index("mend:") == lines[0].index("2 CPUs")


@pytest.mark.parametrize(
    ("sandbox", "egress", "problem", "verdict", "mend"),
    [
        ("native", "auto", None, Verdict.OK, None),
        ("native", "none", "switched off", Verdict.OK, None),
        ("native", "auto", "pasta is missing (package passt)", Verdict.WARN, "sudo apt-get install passt nftables"),
        ("rootless", "auto", "Permission denied: '/dev/net/tun'", Verdict.WARN, "sudo modprobe tun"),
        ("rootless", "auto", "pasta ended: Failed to open tun socket", Verdict.WARN, "sudo modprobe tun"),
        ("process", "auto", None, Verdict.WARN, None),
    ],
)
def test_whether_functions_reach_the_internet(
    sandbox: str, egress: str, problem: str | None, verdict: Verdict, mend: str | None
) -> None:
    found = internet(sandbox, egress, problem)
    assert found.verdict is verdict
    assert (found.mend or "").startswith(mend or "")
    assert (found.mend is None) == (mend is None)
