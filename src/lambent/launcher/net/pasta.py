"""The way out of the internet's router by pasta (package passt): a program that makes ordinary connections of the host
out of what the router sends, so that nothing of the host's network is changed.

A keeper process starts it when it is first wanted, since it takes 40 MB, again when it ends, and says how it is in a
small shared text. Keeper and pasta are a pid
namespace of their own that dies with the launcher. pasta reads what functions send, so it has no privileges: the
router's namespace belongs to a user namespace in which it is root, and it is nobody outside. Ports are forwarded in
neither direction, and the host's loopback is not mapped.
"""

import os
import resource
import signal
import socket
import stat
import time
from contextlib import suppress
from typing import NamedTuple, NoReturn

from lambent.launcher import wire
from lambent.launcher.base_tree import TUN
from lambent.launcher.kernel import syscalls
from lambent.launcher.net.firewall import UPLINK
from lambent.launcher.net.namespaces import NetworkUnavailable

_PROGRAMS = ("/usr/bin/pasta", "/bin/pasta", "/usr/local/bin/pasta")
_OWN, _GATEWAY, _PREFIX = "169.254.65.2", "169.254.65.1", "30"
_NAMESPACE_FILE = "/tmp/router"
_DEVICE, _TUN_NUMBERS = "/dev/net/tun", (10, 200)
_LOG_BYTES = 16_384
_STATUS_BYTES = 300
_ROUTES_BYTES = 16_384
_LOOK_EVERY_S, _LOOK_FOR_S = 0.002, 5.0
_PAUSES_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_STEADY_S = 60.0
_TIMEOUT_S = 10.0


class Kept(NamedTuple):
    namespace: int
    """Of the router, made by the keeper."""
    keeper: int
    status: int
    """Descriptor of a text: empty while the way out is open, else why it is not."""
    wanted: int
    """Its end starts pasta; see `want`."""

    def want(self) -> None:
        """Once. Whoever is connected after this sees that the way out is starting."""
        tell(self.status, wire.EGRESS_STARTING)
        os.close(self.wanted)


def program() -> str | None:
    return next((path for path in _PROGRAMS if os.access(path, os.X_OK)), None)


def start(host_id: int) -> Kept:
    """Make a namespace and keep a pasta in it that runs as user `host_id`. Raises NetworkUnavailable, OSError."""
    path = program()
    if path is None:
        raise NetworkUnavailable("pasta is missing (package passt)")
    status = os.memfd_create("egress")
    tell(status, wire.EGRESS_WAITS)
    not_wanted, wanted = os.pipe2(os.O_CLOEXEC)
    ours, theirs = wire.pair()
    with ours, theirs:
        keeper = syscalls.clone(syscalls.CLONE_NEWPID | syscalls.CLONE_NEWNS)
        if keeper == 0:
            os.close(wanted)
            _Keeper(path, host_id, status, not_wanted).run(theirs)
        theirs.close()
        os.close(not_wanted)
        ours.settimeout(_TIMEOUT_S)
        try:
            received = wire.receive(ours)
        except TimeoutError:
            received = None
    if received is None or "namespace" not in received[1]:
        os.close(status)
        os.close(wanted)
        with suppress(ProcessLookupError):
            os.kill(keeper, signal.SIGKILL)
        reason = received[0]["reason"] if received is not None else "the keeper of pasta ended at once"
        raise NetworkUnavailable(reason)
    return Kept(received[1]["namespace"], keeper, status, wanted)


def tell(status: int, reason: str) -> None:
    os.ftruncate(status, 0)
    os.pwrite(status, reason.encode()[:_STATUS_BYTES], 0)


class _Keeper:
    """pid 1 of the namespace that pasta runs in."""

    def __init__(self, program: str, host_id: int, status: int, not_wanted: int) -> None:
        self._program = program
        self._host_id = host_id
        self._status = status
        self._not_wanted = not_wanted
        """Ends when it is."""
        self._user_namespace = -1
        self._namespace = -1
        self._routes = -1
        """Of the router."""

    def run(self, launcher: socket.socket) -> NoReturn:
        try:
            syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
            self._prepare()
            wire.send(launcher, {"event": "made"}, {"namespace": self._namespace})
            launcher.close()
            self._keep()
        except Exception as error:  # noqa: BLE001 - the last line of this process: tell, then end
            with suppress(OSError):
                wire.send(launcher, {"event": "failed", "reason": f"pasta cannot be kept: {error}"})
        finally:
            os._exit(1)

    def _prepare(self) -> None:
        # Where the launcher has not left the host's files, nothing of this may be seen there.
        syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
        syscalls.mount("proc", "/proc", "proc", syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC)
        syscalls.mount("dev", "/dev", "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NOEXEC, "mode=0755,size=64k")
        os.mkdir("/dev/net", 0o755)
        _make_tun()
        syscalls.mount("tmp", "/tmp", "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=0755,size=64k")
        holder = syscalls.clone(syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNET)
        if holder == 0:
            while True:
                signal.pause()
        for kind in ("uid", "gid"):
            with open(f"/proc/{holder}/{kind}_map", "w", encoding="utf-8") as ids:
                ids.write(f"0 {self._host_id} 1")
        self._namespace = os.open(f"/proc/{holder}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._user_namespace = os.open(f"/proc/{holder}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        os.close(os.open(_NAMESPACE_FILE, os.O_WRONLY | os.O_CREAT, 0o644))
        # pasta takes a path and no descriptor, and looks for it after it has left our root.
        syscalls.mount(f"/proc/{holder}/ns/net", _NAMESPACE_FILE, None, syscalls.MS_BIND)
        self._routes = os.open(f"/proc/{holder}/net/route", os.O_RDONLY | os.O_CLOEXEC)
        os.kill(holder, signal.SIGKILL)
        os.waitpid(holder, 0)

    def _keep(self) -> NoReturn:
        os.read(self._not_wanted, 1)
        failures = 0
        while True:
            log = os.memfd_create("pasta")
            started = time.monotonic()
            pid = os.fork()
            if pid == 0:
                self._become_pasta(log)
            ended = self._watch_start(pid)
            if not ended:
                tell(self._status, "")
                os.waitpid(pid, 0)
            if time.monotonic() - started > _STEADY_S:
                failures = 0
            tell(self._status, f"pasta ended: {_last_line(log)}")
            os.close(log)
            time.sleep(_PAUSES_S[min(failures, len(_PAUSES_S) - 1)])
            failures += 1

    def _watch_start(self, pid: int) -> bool:
        """Wait until the router's way out is there. True: pasta has ended instead."""
        deadline = time.monotonic() + _LOOK_FOR_S
        while time.monotonic() < deadline and not self._has_way_out():
            if os.waitpid(pid, os.WNOHANG)[0] == pid:
                return True
            time.sleep(_LOOK_EVERY_S)
        return False

    def _has_way_out(self) -> bool:
        routes = os.pread(self._routes, _ROUTES_BYTES, 0).decode()
        return any(line.startswith(f"{UPLINK}\t00000000\t") for line in routes.splitlines())

    def _become_pasta(self, log: int) -> NoReturn:
        try:
            null = os.open("/proc/self/fd", os.O_PATH)  # Something must be 0 and 1, and nothing is read or written.
            os.dup2(null, 0)
            os.dup2(null, 1)
            os.dup2(log, 2)
            resource.setrlimit(resource.RLIMIT_FSIZE, (_LOG_BYTES, _LOG_BYTES))
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Where it was ignored before, pasta takes that for an error.
            syscalls.setns(self._user_namespace, syscalls.CLONE_NEWUSER)
            os.setgroups([])
            os.setresgid(0, 0, 0)
            os.setresuid(0, 0, 0)
            arguments = [self._program, "--foreground", "--quiet", "--ipv4-only", "--netns-only", "--config-net"]
            arguments += ["--ns-ifname", UPLINK, "--address", _OWN, "--netmask", _PREFIX, "--gateway", _GATEWAY]
            arguments += ["--no-map-gw", "--no-dhcp", "-t", "none", "-u", "none", "-T", "none", "-U", "none"]
            os.execve(self._program, [*arguments, "--netns", _NAMESPACE_FILE], {})
        except OSError as error:
            os.write(2, f"{error}\n".encode())
        finally:
            os._exit(127)


def _make_tun() -> None:
    """A node of our own, since the host's may be for root alone; the host's where making one is not allowed."""
    try:
        os.mknod(_DEVICE, stat.S_IFCHR, os.makedev(*_TUN_NUMBERS))
        os.chmod(_DEVICE, 0o666)
    except PermissionError:
        os.close(os.open(_DEVICE, os.O_WRONLY | os.O_CREAT, 0o644))
        syscalls.mount(TUN, _DEVICE, None, syscalls.MS_BIND)
        os.close(os.open(_DEVICE, os.O_RDWR | os.O_CLOEXEC))  # To say so now where pasta may not.


def _last_line(log: int) -> str:
    """Of what it said, but for its complaints that there is no system log."""
    lines = os.pread(log, _LOG_BYTES, 0).decode(errors="replace").splitlines()
    said = [line.strip() for line in lines if line.strip() and "to syslog" not in line]
    return " | ".join(said)
