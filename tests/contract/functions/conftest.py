"""boto3 through the whole gateway to a control plane on a real store."""

from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambent.functions.code_source import S3Code
from lambent.functions.control_plane import ControlPlane
from lambent.functions.networks import Ec2
from lambent.functions.quotas import Quotas
from lambent.testing.aws_client import AsyncClient, aws_client
from lambent.testing.runtime_support import FakeRuntimeSupport
from lambent.testing.scripted_caller import ScriptedCaller
from tests.places import DATABASES, Place, place_of
from tests.planes import opened
from tests.unit.functions.conftest import creation

ACCOUNT = "123456789012"
OTHER_ACCOUNT = "999999999999"
ON_BOTH = pytest.mark.parametrize("place", DATABASES, indirect=True)
ARN = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:"


def runtime_version_arn(runtime: str, region: str) -> str | None:
    """Of a machine that has every Python but 3.14."""
    return None if runtime == "python3.14" else f"arn:aws:lambda:{region}::runtime:{runtime}"


@pytest.fixture
def support() -> FakeRuntimeSupport:
    return FakeRuntimeSupport()


@pytest.fixture
def quotas() -> Quotas:
    return Quotas()


@pytest.fixture
def neighbours() -> ScriptedCaller:
    return ScriptedCaller()


@pytest.fixture
def ec2(neighbours: ScriptedCaller) -> Ec2:
    return Ec2(neighbours)


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """SQLite; a module that says `pytestmark = ON_BOTH` runs on PostgreSQL too."""
    with place_of(request, getattr(request, "param", "sqlite"), tmp_path / "lambent.db") as made:
        yield made


@pytest.fixture
async def plane(
    tmp_path: Path, place: Place, support: FakeRuntimeSupport, quotas: Quotas, neighbours: ScriptedCaller, ec2: Ec2
) -> AsyncIterator[ControlPlane]:
    async with opened(
        tmp_path / "data",
        place=place,
        support=support,
        runtime_version_arn=runtime_version_arn,
        code_source=S3Code(neighbours, quotas, tmp_path),
        networks=ec2,
        quotas=quotas,
    ) as server:
        yield server.plane


class Lambda:
    """The client, with what most tests do first."""

    def __init__(self, client: AsyncClient) -> None:
        self.client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    async def create(self, name: str = "f", **parameters: Any) -> Mapping[str, Any]:
        reply: Mapping[str, Any] = await self.client.create_function(**(creation(name) | parameters))
        return reply

    async def created(self, name: str = "f", **parameters: Any) -> Mapping[str, Any]:
        """Create it and wait until it is Active; its configuration then."""
        await self.create(name, **parameters)
        await self.client.wait("function_active_v2", FunctionName=name)
        reply: Mapping[str, Any] = await self.client.get_function_configuration(FunctionName=name)
        return reply

    async def updated(self, name: str = "f") -> Mapping[str, Any]:
        await self.client.wait("function_updated_v2", FunctionName=name)
        reply: Mapping[str, Any] = await self.client.get_function_configuration(FunctionName=name)
        return reply

    async def refused(self, operation: str, **parameters: Any) -> tuple[int, str, str]:
        """Status, code and message of a call that must fail."""
        with pytest.raises(ClientError) as failure:
            await getattr(self.client, operation)(**parameters)
        response = failure.value.response
        return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"], response["Error"]["Message"]


@pytest.fixture
async def other(plane: ControlPlane) -> AsyncIterator[Lambda]:
    """Of another account, at the same server."""
    async with aws_client("lambda", plane.operations(), account=OTHER_ACCOUNT) as client:
        yield Lambda(client)


@pytest.fixture
async def lambda_(plane: ControlPlane) -> AsyncIterator[Lambda]:
    async with aws_client("lambda", plane.operations(), account=ACCOUNT) as client:
        yield Lambda(client)
