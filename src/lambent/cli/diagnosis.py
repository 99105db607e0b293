"""What the facts of a machine mean for Lambent, and the command that mends what is missing. Pure rules.

The facts only explain; what a sandbox really gives is found by building one (see `sandbox`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from lambent.cli.machine import Machine
from lambent.environments.sandbox.guarantees import by_reason


class Verdict(StrEnum):
    OK = "ok"
    WARN = "warn"
    """Lambent works, with less."""
    FAIL = "fail"
    """Lambent cannot start, or no function can run."""


@dataclass(frozen=True, slots=True)
class Finding:
    subject: str
    verdict: Verdict
    text: str
    """May have several lines."""
    mend: str | None = None
    """A command, or a short instruction where no command does it."""

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def diagnose(machine: Machine) -> list[Finding]:
    """What stands for or against the native sandbox on this machine."""
    findings = [
        Finding("machine", Verdict.OK, f"{machine.cpus} CPUs, {machine.memory_mb} MB, {machine.architecture}"),
        Finding("python", Verdict.OK, machine.python),
    ]
    if machine.system != "Linux":
        text = f"{machine.system}: no isolation, the process sandbox only; for development"
        return [*findings, Finding("system", Verdict.WARN, text, "run Lambent on Linux, or in a Linux virtual machine")]
    findings.append(Finding("system", Verdict.OK, f"Linux {machine.kernel}"))
    findings.append(_privileges(machine))
    if not machine.root:
        findings.append(_user_numbers(machine))
    findings.append(_cgroups(machine))
    findings.append(_libraries(machine))
    if machine.root:
        findings.append(_loop_devices(machine))
    findings.append(_kernel_features(machine))
    return findings


def _privileges(machine: Machine) -> Finding:
    if machine.root:
        return Finding("privileges", Verdict.OK, "root: the launcher keeps it, the server drops it at start")
    text = "not root: the native sandbox needs it; functions run in the rootless one, or else in the process sandbox"
    return Finding("privileges", Verdict.WARN, text, f"sudo {machine.command} up")


def _user_numbers(machine: Machine) -> Finding:
    """What the rootless sandbox needs to give each function a user of its own."""
    if not machine.user_namespaces:
        text = f"user namespaces are refused to ordinary users ({machine.refusing or 'the kernel has none'})"
        return Finding("rootless", Verdict.WARN, f"{text}: there is no rootless sandbox", _mend_namespaces(machine))
    if machine.newuidmap and machine.subordinate_ids:
        return Finding("rootless", Verdict.OK, "user namespaces, newuidmap, numbers of its own for each function")
    if not machine.newuidmap:
        text, mend = "newuidmap is missing", "sudo apt-get install uidmap" if machine.apt else "install newuidmap"
    else:
        text = f"{machine.user} has no range in /etc/subuid and /etc/subgid"
        mend = f"sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {machine.user}"
    return Finding("rootless", Verdict.WARN, f"{text}: functions have the user's own number", mend)


def _mend_namespaces(machine: Machine) -> str | None:
    match machine.refusing:
        case "kernel.apparmor_restrict_unprivileged_userns":
            return apparmor_command(machine.executable)
        case "kernel.unprivileged_userns_clone":
            return "sudo sysctl kernel.unprivileged_userns_clone=1"
        case "user.max_user_namespaces":
            return "sudo sysctl user.max_user_namespaces=15000"
    return None


def apparmor_command(executable: str) -> str:
    """Ubuntu since 23.10: a profile that lets one program make user namespaces. It knows programs by their file, so
    this holds for all that this interpreter runs."""
    profile = rf"abi <abi/4.0>,\ninclude <tunables/global>\nprofile lambent {executable} "
    profile += r"flags=(unconfined) { userns, }\n"
    place = "/etc/apparmor.d/lambent"
    return f"printf '{profile}' | sudo tee {place} && sudo apparmor_parser -r {place}"


def _cgroups(machine: Machine) -> Finding:
    if machine.cgroup is None:
        text = "no cgroups are mounted: no limits of memory, CPU and processes"
        return Finding("cgroups", Verdict.WARN, text, "mount -t cgroup2 none /sys/fs/cgroup")
    missing = sorted({"cpu", "memory", "pids"} - machine.controllers)
    if missing:
        text = f"{machine.cgroup}, without {', '.join(missing)}: these limits cannot be enforced"
        mend = "a container: start it with --privileged --cgroupns=host; a host: check cgroup_disable in /proc/cmdline"
        return Finding("cgroups", Verdict.WARN, text, mend)
    if not machine.root and (missing := sorted({"cpu", "memory", "pids"} - machine.delegated)):
        text = f"{machine.cgroup}, but not delegated to {machine.user}: {', '.join(missing)}"
        return Finding("cgroups", Verdict.WARN, text, _mend_delegation(machine))
    return Finding("cgroups", Verdict.OK, f"{machine.cgroup}: cpu, memory, pids, freezer")


def _mend_delegation(machine: Machine) -> str:
    if not machine.systemd:
        return "start Lambent in a control group that belongs to its user"
    if not machine.delegated:
        return f"sudo loginctl enable-linger {machine.user}"
    folder = "/etc/systemd/system/user@.service.d"
    text = r"[Service]\nDelegate=cpu memory pids\n"
    written = f"sudo mkdir -p {folder} && printf '{text}' | sudo tee {folder}/lambent.conf"
    return f"{written} && sudo systemctl daemon-reload, then log in anew"


def _libraries(machine: Machine) -> Finding:
    missing = [
        package for package, there in (("libseccomp2", machine.libseccomp), ("e2fsprogs", machine.mke2fs)) if not there
    ]
    if not missing:
        return Finding("libraries", Verdict.OK, "libseccomp, mke2fs")
    mend = f"sudo apt-get install {' '.join(missing)}" if machine.apt else f"install {' and '.join(missing)}"
    return Finding("libraries", Verdict.WARN, f"{', '.join(missing)} missing: the native sandbox needs it", mend)


def _loop_devices(machine: Machine) -> Finding:
    if machine.loop_devices:
        return Finding("loop devices", Verdict.OK, "/tmp of a function has its own size limit")
    text = "none: /tmp of a function cannot have a size limit of its own"
    return Finding("loop devices", Verdict.WARN, text, "sudo modprobe loop")


def _kernel_features(machine: Machine) -> Finding:
    missing = [
        name
        for name, there in (("user namespaces", machine.user_namespaces), ("Landlock", machine.landlock > 0))
        if not there
    ]
    if missing:
        text = f"without {' and '.join(missing)}: one layer of protection less"
        mend = None if machine.user_namespaces else _mend_namespaces(machine)
        return Finding("kernel", Verdict.WARN, text, mend)
    return Finding("kernel", Verdict.OK, f"user namespaces, Landlock ABI {machine.landlock}")


def port(host: str, number: int, *, free: bool, ours: bool) -> Finding:
    """`ours`: what listens there already is a Lambent server."""
    place = f"{host}:{number}"
    if free:
        return Finding("port", Verdict.OK, f"{place} is free")
    if ours:
        return Finding("port", Verdict.OK, f"a Lambent server runs on {place}")
    return Finding("port", Verdict.WARN, f"{place} is used by another program", f"lambent up --port {number + 1}")


def runtimes(served: Mapping[str, str], missing: Sequence[str], mend: str | None) -> Finding:
    """`served`: runtime identifier -> executable; `missing`: identifiers that nothing here serves."""
    if not served:
        text = "no interpreter for any Python runtime was found: no function can run"
        return Finding("runtimes", Verdict.FAIL, text, mend or "sudo apt-get install python3")
    text = ", ".join(served)
    if missing:
        text += f" (not here: {', '.join(missing)})"
    return Finding("runtimes", Verdict.OK, text, mend if missing else None)


def sandbox(name: str, guarantees: Mapping[str, bool], missing: Mapping[str, str], reason: str | None) -> Finding:
    """The sandbox that a start would use, as probed.

    `missing`: guarantee -> why it is not given; `reason`: why the sandbox is not the native one.
    """
    given = [guarantee for guarantee, there in guarantees.items() if there]
    if not given:
        return Finding("sandbox", Verdict.WARN, f"{name}, no isolation: {reason}")
    lines = [f"{name}: {', '.join(given)}"]
    lines += [f"without {', '.join(guarantees)}: {why}" for why, guarantees in by_reason(missing).items()]
    if reason is not None:
        lines.append(f"not native: {reason}")
    return Finding("sandbox", Verdict.WARN if missing or reason else Verdict.OK, "\n".join(lines))


def internet(sandbox: str, egress: str, problem: str | None) -> Finding:
    """Whether functions reach it. `egress` is the setting, `problem` why they do not."""
    if sandbox == "process":
        return Finding("internet", Verdict.WARN, "functions have the network of this host, loopback included")
    if problem is None:
        return Finding("internet", Verdict.OK, "functions reach it, and no private network")
    if egress == "none":
        return Finding("internet", Verdict.OK, "functions do not reach it (--egress none)")
    mend = "sudo apt-get install passt nftables" if "package" in problem else None
    if "/dev/net/tun" in problem or "tun socket" in problem:  # The second are words of pasta.
        mend = "sudo modprobe tun && sudo chmod 666 /dev/net/tun"
    return Finding("internet", Verdict.WARN, f"functions do not reach it: {problem}", mend)
