"""Functions in VPCs: what their subnets, security groups and NAT let them reach, in both directions."""

import dataclasses
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from lambent.aws.errors import ApiError
from lambent.core.clock import SystemClock
from lambent.environments.networks.services import VpcService
from lambent.environments.networks.vpcs import Vpcs
from lambent.environments.sandbox.launched import NativeSandbox
from lambent.environments.sandbox.native import NativeDriver
from lambent.environments.sandbox.ports import NetworkSpec, Preparation, SandboxSpec
from lambent.functions.vpc import Rule, SecurityGroup, Subnet, Vpc
from lambent.launcher.client import Egress
from lambent.testing.running_server import Server
from tests.e2e.census import Census, census, eventually
from tests.e2e.network_kit import HOST, INTERNET, PRIVATE, PROBES, World, driver_in, inside, needs_networks, world
from tests.e2e.packages import create_function
from tests.e2e.sandbox_kit import printed, run, spec

REFUSED = {"ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "EACCES", "time-out"}
ANYWHERE = "0.0.0.0/0"
OUT = (Rule(protocol="-1", cidr=ANYWHERE),)

SERVING = """
import socket, threading
def tcp(port):
    listener = socket.create_server(("0.0.0.0", port))
    while True:
        connection, client = listener.accept()
        connection.sendall(f"served {client[0]}".encode())
        connection.close()
for port in (7000, 7001):
    threading.Thread(target=tcp, args=(port,), daemon=True).start()
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.connect(("192.0.2.1", 9))
    print("address", sock.getsockname()[0], "serves", flush=True)
threading.Event().wait(60)
"""


ME = ("000000000000", "eu-west-1")


class Groups:
    """An EC2 whose security groups the test changes."""

    def __init__(self, *known: SecurityGroup) -> None:
        self.known = {each.id: each for each in known}

    async def groups(
        self, groups: Sequence[str], *, account: str, region: str, principal: str
    ) -> tuple[SecurityGroup, ...]:
        if any(each not in self.known for each in groups):
            raise ApiError("InvalidParameterValueException", "Error occurred while DescribeSecurityGroups.")
        return tuple(self.known[each] for each in groups)


def vpc(name: str, *groups: SecurityGroup, cidr: str = "10.0.1.0/24", nat: bool = False) -> Vpc:
    return Vpc(name, (Subnet(f"subnet-{name}", cidr, nat),), groups)


@pytest.fixture
def made() -> Iterator[World]:
    needs_networks()
    with world() as one:
        yield one


@pytest.fixture
def no_leftovers() -> Iterator[Census]:
    with census() as taken:
        yield taken


@asynccontextmanager
async def vpcs_on(
    made: World, home: Path, groups: Groups, *services: VpcService, kind: str = "native"
) -> AsyncIterator[tuple[NativeDriver, Vpcs]]:
    async with driver_in(made, home, Egress("auto"), kind) as driver:
        vpcs = Vpcs(driver._launcher, groups, SystemClock(), services)
        try:
            yield driver, vpcs
        finally:
            await vpcs.close()


def placed(home: Path, network: NetworkSpec, script: str, attempts: Sequence[Sequence[Any]] = ()) -> SandboxSpec:
    name = f"{network.vpc_id}-{'-'.join(network.security_groups)}-{len(attempts)}"
    variables = {"ATTEMPTS": json.dumps(attempts)}
    return dataclasses.replace(
        spec(home / "packages", script, environment_id=name, variables=variables), network=network
    )


async def server(driver: NativeDriver, home: Path, network: NetworkSpec) -> tuple[NativeSandbox, str]:
    """A function that listens on 7000 and 7001, and its address."""
    sandbox = await driver.create(placed(home, network, SERVING))
    await sandbox.start()
    return sandbox, (await printed(sandbox, "serves")).split()[1]


async def found(driver: NativeDriver, home: Path, network: NetworkSpec, *attempts: Sequence[Any]) -> list[str]:
    # As of the stock: connected with the internet until it is known for whom it is.
    prepared = await driver.prepare(Preparation(internet=True))
    sandbox = await prepared.assign(placed(home, network, PROBES, attempts))
    try:
        return [json.loads(line)[1] for line in (await run(sandbox, timeout_s=40)).splitlines()]
    finally:
        await sandbox.stop()


@pytest.mark.parametrize("kind", ["native", "rootless"])
async def test_security_groups_decide_who_reaches_whom_in_a_vpc(made: World, tmp_path: Path, kind: str) -> None:
    web = made.serve(made.internet, INTERNET, 0, "internet")
    clients = SecurityGroup("sg-clients", (), OUT)
    database = SecurityGroup("sg-db", (Rule(protocol="tcp", ports=(7000, 7000), group="sg-clients"),), OUT)
    strangers = SecurityGroup("sg-strangers", (), OUT)
    mute = SecurityGroup("sg-mute", (), ())
    groups = Groups(clients, database, strangers, mute)
    async with vpcs_on(made, tmp_path, groups, kind=kind) as (driver, vpcs):
        serving, address = await server(driver, tmp_path, await vpcs.place_in(vpc("vpc-1", database), ME))
        allowed = await vpcs.place_in(vpc("vpc-1", clients), ME)
        attempts = (["tcp", address, 7000], ["tcp", address, 7001], ["tcp", INTERNET, web], ["own", address, 0])
        answer, other_port, internet, own = await found(driver, tmp_path, allowed, *attempts)
        assert answer == f"served {own}"
        assert own.startswith("10.0.1.")
        assert {other_port, internet} <= REFUSED
        for outsider in (vpc("vpc-1", strangers), vpc("vpc-1", mute), vpc("vpc-2", clients)):
            place = await vpcs.place_in(outsider, ME)
            assert set(await found(driver, tmp_path, place, ["tcp", address, 7000])) <= REFUSED
        outside = NetworkSpec(kind="internet")
        assert set(await found(driver, tmp_path, outside, ["tcp", address, 7000])) <= REFUSED
        # The answers went through, but who serves may not begin.
        place = await vpcs.place_in(vpc("vpc-1", database), ME)
        assert set(await found(driver, tmp_path, place, ["tcp", own, 7000])) <= REFUSED
        await serving.stop()


async def test_a_changed_rule_acts_on_environments_that_run(made: World, tmp_path: Path) -> None:
    closed = SecurityGroup("sg-db", (), OUT)
    groups = Groups(closed)
    async with vpcs_on(made, tmp_path, groups) as (driver, vpcs):
        place = await vpcs.place_in(vpc("vpc-1", closed), ME)
        serving, address = await server(driver, tmp_path, place)
        assert set(await found(driver, tmp_path, place, ["tcp", address, 7000])) <= REFUSED
        groups.known["sg-db"] = SecurityGroup(
            "sg-db", (Rule(protocol="tcp", ports=(7000, 7001), cidr="10.0.0.0/8"),), OUT
        )
        await vpcs.look_again()
        assert (await found(driver, tmp_path, place, ["tcp", address, 7000]))[0].startswith("served ")
        # What EC2 has forgotten stays as it was.
        groups.known.clear()
        await vpcs.look_again()
        assert (await found(driver, tmp_path, place, ["tcp", address, 7001]))[0].startswith("served ")
        await serving.stop()


async def test_a_subnet_with_nat_reaches_the_internet_and_its_vpc_and_nothing_private(
    made: World, tmp_path: Path
) -> None:
    web = made.serve(made.internet, INTERNET, 0, "internet")
    private = made.serve(made.internet, PRIVATE, 0, "private")
    group = SecurityGroup("sg-1", (), OUT)
    async with vpcs_on(made, tmp_path, Groups(group)) as (driver, vpcs):
        place = await vpcs.place_in(vpc("vpc-1", group, nat=True), ME)
        attempts = (["tcp", INTERNET, web], ["udp", INTERNET, web], ["tcp", PRIVATE, private])
        tcp, udp, closed = await found(driver, tmp_path, place, *attempts)
    assert {tcp, udp} == {f"internet {HOST}"}
    assert closed in REFUSED


async def test_a_function_of_a_vpc_cannot_use_up_the_connections_of_all(made: World, tmp_path: Path) -> None:
    web = made.serve(made.internet, INTERNET, 0, "internet")
    group = SecurityGroup("sg-1", (), OUT)
    async with vpcs_on(made, tmp_path, Groups(group)) as (driver, vpcs):
        place = await vpcs.place_in(vpc("vpc-1", group, nat=True), ME)
        (many,) = await found(driver, tmp_path, place, ["many", INTERNET, web])
    assert many == "1024"


async def test_a_service_of_the_host_is_published_in_a_vpc(made: World, tmp_path: Path) -> None:
    port = made.serve(made.host, "127.0.0.1", 0, "database")
    group = SecurityGroup("sg-1", (), OUT)
    mute = SecurityGroup("sg-mute", (), ())
    service = VpcService("10.0.1.10", 5432, "127.0.0.1", port)
    with inside(made.host):
        async with vpcs_on(made, tmp_path, Groups(group, mute), service) as (driver, vpcs):
            place = await vpcs.place_in(vpc("vpc-1", group), ME)
            attempts = (["tcp", "10.0.1.10", 5432], ["tcp", "10.0.1.10", 5433], ["tcp", HOST, port])
            answer, *closed = await found(driver, tmp_path, place, *attempts)
            assert answer == "database 127.0.0.1"
            assert set(closed) <= REFUSED
            place = await vpcs.place_in(vpc("vpc-1", mute), ME)
            assert set(await found(driver, tmp_path, place, ["tcp", "10.0.1.10", 5432])) <= REFUSED


async def test_a_subnet_without_a_free_address_is_told_as_on_aws(made: World, tmp_path: Path) -> None:
    group = SecurityGroup("sg-1", (), OUT)
    async with vpcs_on(made, tmp_path, Groups(group)) as (driver, vpcs):
        place = await vpcs.place_in(vpc("vpc-1", group, cidr="10.0.1.0/29"), ME)
        # AWS keeps five of the eight.
        kept = [await driver.create(placed(tmp_path, place, PROBES)) for _ in range(3)]
        with pytest.raises(ApiError) as refused:
            await driver.create(placed(tmp_path, place, PROBES))
        assert refused.value.code == "SubnetIPAddressLimitReachedException"
        await kept[0].stop()
        await (await driver.create(placed(tmp_path, place, PROBES))).stop()
        for sandbox in kept[1:]:
            await sandbox.stop()


HANDLER = """
import socket
def handler(event, context):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("192.0.2.1", 9))
        return sock.getsockname()[0]
"""


def test_a_function_is_in_its_vpc_again_after_a_kill_though_ec2_has_forgotten_it(
    start_server: Callable[..., Server], no_leftovers: Census
) -> None:
    needs_networks()
    server = start_server()
    ec2 = server.client("ec2")
    vpc_id = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet_id = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.9.1.0/24")["Subnet"]["SubnetId"]
    group_id = ec2.create_security_group(GroupName="g", Description="g", VpcId=vpc_id)["GroupId"]
    config = {"SubnetIds": [subnet_id], "SecurityGroupIds": [group_id]}
    created = create_function(server.client("lambda"), "in-vpc", HANDLER, VpcConfig=config)
    assert created["VpcConfig"]["VpcId"] == vpc_id
    assert answered(server).startswith("10.9.1.")
    server.kill()
    server = start_server()
    assert answered(server).startswith("10.9.1.")
    server.kill()
    assert eventually(no_leftovers.left, timeout_s=10) == {}


def answered(server: Server) -> str:
    reply = server.client("lambda").invoke(FunctionName="in-vpc")
    address: str = json.loads(reply["Payload"].read())
    return address
