"""A world of network namespaces for the tests: a "host" that a launcher is started in, and an "internet" behind it.

Nothing of the real host is changed. Servers answer with a greeting and the address that they were asked from.
"""

import asyncio
import ctypes
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from pathlib import Path

import pytest

from lambent.environments.sandbox.native import NativeDriver
from lambent.launcher import client
from lambent.launcher.client import Egress
from tests.e2e.sandbox_kit import as_ordinary_user, delegated_groups, launcher_in, needs_program

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)

HOST, GATEWAY = "203.0.113.2", "203.0.113.1"
INTERNET, PRIVATE = "198.51.100.7", "10.77.0.7"
"""Of servers behind the host's gateway: one of the internet, one in a private network."""
SECOND_OF_HOST = "192.0.2.77"


def _checked(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _here() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


@contextmanager
def inside(namespace: int) -> Iterator[None]:
    """This thread, and what it opens or starts, is in `namespace`."""
    home = _here()
    _checked(_libc.setns(namespace, _CLONE_NEWNET))
    try:
        yield
    finally:
        _checked(_libc.setns(home, _CLONE_NEWNET))
        os.close(home)


def _namespace() -> int:
    home = _here()
    try:
        _checked(_libc.unshare(_CLONE_NEWNET))
        made = _here()
        _checked(_libc.setns(home, _CLONE_NEWNET))
    finally:
        os.close(home)
    return made


class World:
    def __init__(self) -> None:
        self.host, self.internet = _namespace(), _namespace()
        self._closing: list[Callable[[], None]] = []

    def run(self, namespace: int, *commands: str) -> str:
        said = ""
        for command in commands:
            with inside(namespace):
                done = subprocess.run(
                    command.split(), capture_output=True, text=True, pass_fds=(self.host, self.internet), check=False
                )
            assert done.returncode == 0, f"{command}: {done.stderr}"
            said += done.stdout
        return said

    def serve(self, namespace: int, host: str, port: int, greeting: str) -> int:
        """TCP and UDP, until the world ends. Port 0 takes a free one; returned."""
        with inside(namespace):
            tcp = socket.create_server((host, port))
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            udp.bind(tcp.getsockname())
        self._closing += [lambda: tcp.shutdown(socket.SHUT_RDWR), tcp.close, udp.close]
        threading.Thread(target=_answer_tcp, args=(tcp, greeting), daemon=True).start()
        threading.Thread(target=_answer_udp, args=(udp, greeting), daemon=True).start()
        return int(tcp.getsockname()[1])

    def close(self) -> None:
        for each in self._closing:
            with suppress(OSError):
                each()
        os.close(self.host)
        os.close(self.internet)


def _answer_tcp(listener: socket.socket, greeting: str) -> None:
    with suppress(OSError):
        while True:
            connection, address = listener.accept()
            with connection, suppress(OSError):
                connection.sendall(f"{greeting} {address[0]}\n".encode())


def _answer_udp(sock: socket.socket, greeting: str) -> None:
    sock.settimeout(0.2)
    with suppress(OSError):  # It was closed.
        while True:
            with suppress(TimeoutError):
                _, address = sock.recvfrom(4096)
                sock.sendto(f"{greeting} {address[0]}\n".encode(), address)


@contextmanager
def world() -> Iterator[World]:
    made = World()
    try:
        made.run(
            made.host,
            "ip link set lo up",
            "ip link add up0 type veth peer name down0",
            f"ip link set down0 netns /proc/self/fd/{made.internet}",
            f"ip address add {HOST}/24 dev up0",
            f"ip address add {SECOND_OF_HOST}/32 dev lo",
            "ip link set up0 up",
            f"ip route add default via {GATEWAY}",
        )
        made.run(
            made.internet,
            "ip link set lo up",
            f"ip address add {GATEWAY}/24 dev down0",
            f"ip address add {INTERNET}/32 dev lo",
            f"ip address add {PRIVATE}/32 dev lo",
            "ip link set down0 up",
        )
        yield made
    finally:
        made.close()


WITH_TUN = 'mount -t tmpfs none /dev/net && mknod -m 666 /dev/net/tun c 10 200 && exec "$@"'
"""Ordinary users may open the device on most hosts, and on some that run tests they may not."""


@asynccontextmanager
async def driver_in(
    made: World,
    home: Path,
    egress: Egress,
    kind: str = "native",
    *,
    waits: bool = True,
    entries: Mapping[str, Path] | None = None,
) -> AsyncIterator[NativeDriver]:
    """A launcher on the "host" of this world, and its driver; the rootless one is an ordinary user's."""
    (home / "packages").mkdir(exist_ok=True)
    through: tuple[str, ...] = ()
    with delegated_groups() if kind == "rootless" else nullcontext(()) as groups:
        if kind == "rootless":
            needs_program("newuidmap", "uidmap")
            user = as_ordinary_user(home, ids=True, groups=groups)
            through = ("unshare", "--mount", "sh", "-c", WITH_TUN, "sh", *user)
        with inside(made.host):
            launcher = launcher_in(home, wanted=kind, through=through, egress=egress, runtime_entries=entries or {})
        driver = NativeDriver(launcher)
        try:
            if waits:
                await way_out(launcher)
            yield driver
        finally:
            await driver.close()
            for fd in launcher.network_fds.values():
                with suppress(OSError):  # A test has taken it over.
                    os.close(fd)


async def way_out(launcher: client.LauncherClient) -> None:
    """Wait until the router's uplink is there."""
    if "egress" not in launcher.network_fds:
        return
    launcher.want_egress()
    async with asyncio.timeout(10):
        while os.pread(launcher.network_fds["egress"], 400, 0):  # noqa: ASYNC110 - a shared text; nothing announces it
            await asyncio.sleep(0.005)


def lacking() -> str | None:
    """Why there are no networks on this machine."""
    missing = "needs root" if os.geteuid() != 0 else None
    for program, package in (("ip", "iproute2"), ("nft", "nftables"), ("pasta", "passt")):
        if shutil.which(program, path="/usr/sbin:/sbin:/usr/bin:/bin") is None:
            missing = f"{program} is missing (package {package})"
    return missing


def needs_networks() -> None:
    """Root and the programs; their absence fails where everything must be there, and skips elsewhere."""
    missing = lacking()
    if missing is not None and os.environ.get("CI") == "true":
        pytest.fail(missing)
    elif missing is not None:
        pytest.skip(missing)


PROBES = """
import errno, json, os, socket, struct, sys

def tcp(host, port):
    with socket.create_connection((host, port), 1.5) as connection:
        return connection.recv(100).decode().strip()

def udp(host, port, source=None):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(1.5)
        if source:
            sock.setsockopt(socket.IPPROTO_IP, 15, 1)  # IP_FREEBIND
            sock.bind((source, 0))
        sock.connect((host, port))
        sock.send(b"hello")
        return sock.recv(100).decode().strip()

def many(host, port):
    answered = 0
    for source in range(20000, 21100):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(1.5)
            sock.bind(("0.0.0.0", source))
            sock.connect((host, port))
            try:
                sock.send(b"hello")
                answered += bool(sock.recv(100))
            except OSError:
                pass
    return str(answered)

def ping(host, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP) as sock:
        sock.settimeout(1.5)
        sock.sendto(struct.pack("!BBHHH", 8, 0, 0, 0, 1), (host, 0))
        return "echo" if sock.recv(100) else ""

def raw(host, port):
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP):
        return "raw"

def packet(host, port):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0x0300):
        return "packet"

def six(host, port):
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as sock:
        sock.settimeout(1.5)
        sock.connect((host, port, 0, 2))
        return "connected"

def resolve(host, port):
    return socket.getaddrinfo(host, port, socket.AF_INET)[0][4][0]

def own(host, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((host, 9))
        return sock.getsockname()[0]

def attempt(kind, *arguments):
    try:
        return globals()[kind](*arguments)
    except socket.gaierror as error:
        return f"gai {error.errno}"
    except TimeoutError:
        return "time-out"
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))

if __name__ == "__main__":
    for line in json.loads(os.environ["ATTEMPTS"]):
        print(json.dumps([line, attempt(*line)]), flush=True)
"""
