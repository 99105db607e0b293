"""Under what a measurement was taken, and what processes hold. Reads /proc; elsewhere it says little."""

import os
import platform
import time
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Conditions:
    date: str
    cpu: str
    cores: int
    kernel: str
    python: str
    load_average: str

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def conditions() -> Conditions:
    cpu = platform.processor()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), cpu)
    except OSError:
        pass
    return Conditions(
        date=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        cpu=cpu,
        cores=os.cpu_count() or 1,
        kernel=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        load_average=" ".join(f"{value:.2f}" for value in os.getloadavg()),
    )


def descendants(pid: int) -> list[int]:
    """`pid` and all processes under it, parents first."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                # The command may hold spaces and brackets; the fields begin after its last bracket.
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for each in found:
        found.extend(children.get(each, ()))
    return found


def memory_mb(pid: int) -> tuple[float, float]:
    """(RSS, PSS) in MB of 2**20 bytes."""
    rss = pss = 0.0
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            rss = int(line.split()[1]) / 1024
        elif line.startswith("Pss:"):
            pss = int(line.split()[1]) / 1024
    return rss, pss


def unshared_mb(pid: int) -> float:
    """USS of all processes under `pid`, in MB: pages that nobody else maps."""
    total = 0
    for each in descendants(pid)[1:]:
        try:
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
    return total / 1024


def cgroups_mb(pid: int) -> list[float]:
    """What is charged to each memory cgroup of the processes under `pid` that is a sandbox's."""
    groups = set()
    for each in descendants(pid)[1:]:
        try:
            lines = Path(f"/proc/{each}/cgroup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        for line in lines:
            _, names, path = line.split(":", 2)
            if "/lambent-" in path and path.rpartition("/")[2].isdigit():
                folder = "/sys/fs/cgroup/memory" if "memory" in names.split(",") else "/sys/fs/cgroup"
                groups |= {Path(folder + path, name) for name in ("memory.usage_in_bytes", "memory.current")}
    return [int(file.read_text()) / 2**20 for file in sorted(groups) if file.exists()]


def cpu_s(pid: int) -> float:
    """User and system time of all threads of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
