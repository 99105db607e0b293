"""What a sandbox reaches when it is plugged into the internet's router, and what it never does."""

import asyncio
import dataclasses
import json
import os
import signal
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from lambent.environments.networks.dns import DnsRelay
from lambent.environments.sandbox.launched import NativeSandbox
from lambent.environments.sandbox.native import NativeDriver
from lambent.environments.sandbox.ports import NetworkSpec, Preparation, SandboxSpec
from lambent.launcher.client import Egress
from tests.e2e.network_kit import (
    GATEWAY,
    HOST,
    INTERNET,
    PRIVATE,
    PROBES,
    SECOND_OF_HOST,
    World,
    driver_in,
    inside,
    needs_networks,
    world,
)
from tests.e2e.sandbox_kit import launcher_pid, printed, run, spec, until

REFUSED = {"ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "EACCES", "EPERM", "EAFNOSUPPORT", "time-out"}
AUTO = Egress("auto")


@pytest.fixture
def made() -> Iterator[World]:
    needs_networks()
    with world() as one:
        yield one


def probing(home: Path, attempts: list[list[Any]], name: str = "probes", script: str = PROBES) -> SandboxSpec:
    plain = spec(home / "packages", script, environment_id=name, variables={"ATTEMPTS": json.dumps(attempts)})
    return dataclasses.replace(plain, network=NetworkSpec(kind="internet"))


async def found_by(sandbox: NativeSandbox) -> dict[str, str]:
    """What each attempt came to, by its words."""
    try:
        said = await run(sandbox, timeout_s=40)
    finally:
        await sandbox.stop()
    return {" ".join(map(str, line)): found for line, found in map(json.loads, said.splitlines())}


async def results(driver: NativeDriver, home: Path, attempts: list[list[Any]]) -> dict[str, str]:
    sandbox = await driver.create(probing(home, attempts))
    assert sandbox.network_missing is None
    return await found_by(sandbox)


@pytest.mark.parametrize("kind", ["native", "rootless"])
async def test_a_sandbox_reaches_the_internet_and_neither_the_host_nor_private_networks(
    made: World, tmp_path: Path, kind: str
) -> None:
    web = made.serve(made.internet, INTERNET, 0, "internet")
    private = made.serve(made.internet, PRIVATE, 0, "private")
    on_host = made.serve(made.host, "0.0.0.0", 0, "host")
    mail = made.serve(made.internet, INTERNET, 25, "mail")
    allowed: list[list[Any]] = [["tcp", INTERNET, web], ["udp", INTERNET, web]]
    refused: list[list[Any]] = [
        ["tcp", "127.0.0.1", on_host],
        *([kind, host, on_host] for kind in ("tcp", "udp") for host in (HOST, SECOND_OF_HOST)),
        *([kind, "169.254.64.1", on_host] for kind in ("tcp", "udp")),
        *([kind, PRIVATE, private] for kind in ("tcp", "udp")),
        *([kind, "169.254.169.254", 80] for kind in ("tcp", "udp")),
        ["tcp", INTERNET, mail],
        *([kind, INTERNET, 0] for kind in ("ping", "raw", "packet")),
        ["six", "fe80::1", web],
        ["udp", "224.0.0.1", web],
    ]
    async with driver_in(made, tmp_path, AUTO, kind) as driver:
        found = await results(driver, tmp_path, [*allowed, *refused])
    assert [found.pop(" ".join(map(str, each))) for each in allowed] == [f"internet {HOST}"] * 2
    assert len(found) == len(refused)
    assert {name: each for name, each in found.items() if each not in REFUSED} == {}


async def test_a_private_network_is_reached_where_it_is_allowed(made: World, tmp_path: Path) -> None:
    private = made.serve(made.internet, PRIVATE, 0, "private")
    on_host = made.serve(made.host, "0.0.0.0", 0, "host")
    attempts: list[list[Any]] = [
        ["tcp", PRIVATE, private],
        ["tcp", SECOND_OF_HOST, on_host],
        ["tcp", HOST, on_host],
    ]
    egress = Egress("auto", ("10.77.0.0/16", f"{SECOND_OF_HOST}/32", "203.0.113.0/24"))
    async with driver_in(made, tmp_path, egress) as driver:
        found = list((await results(driver, tmp_path, attempts)).values())
    assert found[0] == f"private {HOST}"
    # An address of the host opens only by itself, never as part of a network that happens to hold it.
    assert found[1].startswith("host ")
    assert found[2] in REFUSED


@pytest.mark.parametrize("wanted", ["internet", "none", None])
async def test_a_sandbox_connected_while_it_was_made_is_only_so_for_a_function_that_wants_it(
    made: World, tmp_path: Path, wanted: str | None
) -> None:
    web = made.serve(made.internet, INTERNET, 0, "internet")
    plain = probing(tmp_path, [["tcp", INTERNET, web], ["udp", INTERNET, web]])
    plain = dataclasses.replace(plain, network=None if wanted is None else NetworkSpec(kind=wanted))
    async with driver_in(made, tmp_path, AUTO) as driver:
        prepared = await driver.prepare(Preparation(internet=True))
        said = set((await found_by(await prepared.assign(plain))).values())
    assert said == ({f"internet {HOST}"} if wanted == "internet" else {"ENETUNREACH"})


async def test_sandboxes_do_not_reach_one_another(made: World, tmp_path: Path) -> None:
    serving = """
    import socket
    tcp, udp = socket.create_server(("0.0.0.0", 7000)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("0.0.0.0", 7000))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("198.51.100.7", 9))
        print("address", sock.getsockname()[0], "serves", flush=True)
    udp.settimeout(30)
    while True:
        data, client = udp.recvfrom(100)
        udp.sendto(b"from a sandbox", client)
    """
    async with driver_in(made, tmp_path, AUTO) as driver:
        server = await driver.create(probing(tmp_path, [], "server", serving))
        await server.start()
        address = (await printed(server, "serves")).split()[1]
        found = await results(driver, tmp_path, [["tcp", address, 7000], ["udp", address, 7000], ["own", INTERNET, 0]])
        await server.stop()
    own = found.pop(f"own {INTERNET} 0")
    assert own.startswith("169.254.")
    assert own != address
    assert set(found.values()) <= REFUSED


async def test_a_sandbox_speaks_only_for_its_own_address(made: World, tmp_path: Path) -> None:
    web = made.serve(made.internet, INTERNET, 0, "internet")
    async with driver_in(made, tmp_path, AUTO) as driver:
        found = await results(driver, tmp_path, [["udp", INTERNET, web, "169.254.0.99"], ["udp", INTERNET, web]])
    spoofed, honest = found.values()
    assert spoofed in {"EINVAL", "ENETUNREACH", "time-out"}
    assert honest == f"internet {HOST}"


async def test_names_are_resolved_by_the_name_servers_of_the_host(made: World, tmp_path: Path) -> None:
    with name_server(made):
        async with driver_in(made, tmp_path, AUTO) as driver:
            fds = driver._launcher.network_fds
            udp, tcp = (socket.socket(fileno=fds[name]) for name in ("dns_udp", "dns_tcp"))
            with inside(made.host):
                relay = DnsRelay(udp, tcp, lambda: [INTERNET])
                found = await results(driver, tmp_path, [["resolve", "api.example.test", 80]])
                await relay.close()
    assert found == {"resolve api.example.test 80": "192.0.2.80"}


async def test_many_names_asked_at_once_all_arrive(made: World, tmp_path: Path) -> None:
    script = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    for _ in range(200):
        sock.sendto(bytes(20), ("169.254.64.1", 53))
    print("sent", flush=True)
"""
    async with driver_in(made, tmp_path, AUTO) as driver:
        sandbox = await driver.create(probing(tmp_path, [], script=script))
        with socket.socket(fileno=os.dup(driver._launcher.network_fds["dns_udp"])) as questions:
            questions.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            await sandbox.start()
            await printed(sandbox, "sent")
            assert _waiting(questions) == 200
        await sandbox.stop()


def _waiting(sock: socket.socket) -> int:
    count = 0
    with suppress(BlockingIOError):
        while sock.recv(4096):
            count += 1
    return count


async def test_without_egress_a_name_and_an_address_fail_at_once(made: World, tmp_path: Path) -> None:
    async with driver_in(made, tmp_path, Egress("none")) as driver:
        sandbox = await driver.create(probing(tmp_path, [["resolve", "api.example.test", 80], ["tcp", INTERNET, 80]]))
        found = await found_by(sandbox)
        assert sandbox.network_missing is None
    assert found == {"resolve api.example.test 80": "gai -3", f"tcp {INTERNET} 80": "ENETUNREACH"}


async def test_a_new_address_of_the_host_is_refused_as_well(made: World, tmp_path: Path) -> None:
    new = "198.51.100.200"
    async with driver_in(made, tmp_path, AUTO) as driver:
        made.run(made.host, f"ip address add {new}/32 dev lo")
        on_host = made.serve(made.host, "0.0.0.0", 0, "host")
        async with asyncio.timeout(10):
            while (await results(driver, tmp_path, [["tcp", new, on_host]])).popitem()[1] not in REFUSED:
                pass


async def test_addresses_of_ended_sandboxes_are_given_again_and_nothing_is_left(made: World, tmp_path: Path) -> None:
    async with driver_in(made, tmp_path, AUTO) as driver:
        seen = set()
        for _ in range(3):
            found = await results(driver, tmp_path, [["own", INTERNET, 0]])
            seen |= set(found.values())
    assert len(seen) == 3
    assert [
        line for line in made.run(made.host, "ip -o link").splitlines() if "up0" not in line and " lo:" not in line
    ] == []


@contextmanager
def name_server(made: World) -> Iterator[None]:
    """On the internet; answers 192.0.2.80 whatever it is asked."""
    with inside(made.internet):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((INTERNET, 53))
    sock.settimeout(0.2)
    ended = threading.Event()

    def answer() -> None:
        while not ended.is_set():
            with suppress(TimeoutError):
                asked, client = sock.recvfrom(4096)
                end = asked.index(0, 12) + 5
                record = struct.pack("!HHHIH", 0xC00C, 1, 1, 60, 4) + socket.inet_aton("192.0.2.80")
                header = asked[:2] + struct.pack("!HHHHH", 0x8180, 1, 1, 0, 0)
                sock.sendto(header + asked[12:end] + record, client)

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        sock.close()


async def test_a_host_that_gets_a_route_later_gives_its_functions_the_internet_then(
    made: World, tmp_path: Path
) -> None:
    web = made.serve(made.internet, INTERNET, 0, "internet")
    made.run(made.host, "ip route del default")
    async with driver_in(made, tmp_path, AUTO, waits=False) as driver:
        driver._launcher.want_egress()
        await until(lambda: "pasta ended" in (driver._launcher.egress_problem() or ""))
        sandbox = await driver.create(probing(tmp_path, [["tcp", INTERNET, web]]))
        assert "pasta ended" in (sandbox.network_missing or "")
        assert set((await found_by(sandbox)).values()) <= REFUSED
        made.run(made.host, f"ip route add default via {GATEWAY}")
        await until(lambda: driver._launcher.egress_problem() is None)
        assert (await results(driver, tmp_path, [["tcp", INTERNET, web]])).popitem()[1] == f"internet {HOST}"


async def test_a_pasta_that_was_killed_is_started_again(made: World, tmp_path: Path) -> None:
    web = made.serve(made.internet, INTERNET, 0, "internet")
    async with driver_in(made, tmp_path, AUTO) as driver:
        for pid in pastas_of(driver):
            os.kill(pid, signal.SIGKILL)
        await until(lambda: driver._launcher.egress_problem() is not None)
        await until(lambda: driver._launcher.egress_problem() is None)
        assert (await results(driver, tmp_path, [["tcp", INTERNET, web]])).popitem()[1] == f"internet {HOST}"


def pastas_of(driver: NativeDriver) -> list[int]:
    """Below the keeper, which is a child of the launcher."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            name, fields = stat.read_text().rsplit(")", 1)
            parents[int(stat.parent.name)] = (int(fields.split()[1]), name.partition("(")[2])
    keepers = {pid for pid, (parent, _) in parents.items() if parent == launcher_pid(driver)}
    return [pid for pid, (parent, name) in parents.items() if parent in keepers and name.startswith("pas")]


async def test_the_host_gives_the_way_out_where_it_was_asked_to_and_is_then_as_before(
    made: World, tmp_path: Path
) -> None:
    web = made.serve(made.internet, INTERNET, 0, "internet")
    on_host = made.serve(made.host, "0.0.0.0", 0, "host")
    private = made.serve(made.internet, PRIVATE, 0, "private")
    before = state_of_host(made)
    attempts: list[list[Any]] = [
        ["tcp", INTERNET, web],
        ["udp", INTERNET, web],
        ["tcp", HOST, on_host],
        ["tcp", "169.254.65.1", on_host],
        ["tcp", PRIVATE, private],
    ]
    async with driver_in(made, tmp_path, Egress("host-nat")) as driver:
        tcp, udp, *closed = (await results(driver, tmp_path, attempts)).values()
        assert (tcp, udp) == (f"internet {HOST}", f"internet {HOST}")
        assert set(closed) <= REFUSED
        assert state_of_host(made) != before
    await until(lambda: state_of_host(made) == before)
    # A launcher that is killed cannot undo anything, and need not.
    async with driver_in(made, tmp_path, Egress("host-nat")) as driver:
        assert state_of_host(made) != before
        driver._launcher._process.kill()
        # A socket keeps the namespace that it is in; a server that has lost its launcher ends.
        for fd in driver._launcher.network_fds.values():
            os.close(fd)
        await until(lambda: state_of_host(made) == before)


def state_of_host(made: World) -> tuple[str, str, list[str]]:
    links = made.run(made.host, "ip -o link").splitlines()
    forwarding = made.run(made.host, "sysctl -n net.ipv4.ip_forward")
    return made.run(made.host, "nft list tables"), forwarding, sorted(line.split()[1] for line in links)
