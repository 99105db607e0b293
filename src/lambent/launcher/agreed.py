"""What the command, still privileged, agrees with the launcher when that starts: all that it may ever be asked for."""

from typing import NamedTuple

from lambent.launcher import request, wire


class Agreed(NamedTuple):
    data_dir: str
    mark: str
    """Eight hexadecimal digits that stand for the data dir in the names of cgroups and the numbers of users."""
    packages: str
    prefixes: tuple[str, ...]
    runtimes: tuple[request.Runtime, ...]
    runtime_entries: dict[str, str]
    delegated: bool
    """Our cgroup is ours: systemd does not touch what is below it."""
    rootless: bool
    """We are root in a user namespace alone."""
    trusted: frozenset[int] | None
    """Runtimes that may have a zygote, by number; None: looked at when one is started, as where we stay root."""
    egress: str
    egress_allow: tuple[str, ...]
    """Private networks that functions may reach."""
    oci: str | None
    """The program of an OCI runtime, which then makes the sandboxes."""
    gvisor: bool
    """That program is gVisor's."""
    criu: str | None
    """The program that saves processes which cannot be cloned; None: none does."""


def read(message: wire.Message) -> Agreed:
    """The first message of the command, of every kind but `process`."""
    runtimes = (request.Runtime(prefix, tuple(argv), variables) for prefix, argv, variables in message["runtimes"])
    return Agreed(
        data_dir=message["data_dir"],
        mark=message["mark"],
        packages=message["packages"],
        prefixes=tuple(message["prefixes"]),
        runtimes=tuple(runtimes),
        runtime_entries=message["runtime_entries"],
        delegated=message["delegated"],
        rootless=message["kind"] == "rootless",
        trusted=None,
        egress=message["egress"],
        egress_allow=tuple(message["egress_allow"]),
        oci=message["oci"],
        gvisor=message["gvisor"],
        criu=message["criu"],
    )
