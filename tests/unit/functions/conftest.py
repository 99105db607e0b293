"""A control plane on a real store, called without the gateway."""

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lambent.aws.service import CallContext, Identity
from lambent.functions.control_plane import ControlPlane
from lambent.testing.runtime_support import FakeRuntimeSupport
from tests.planes import opened


@dataclass(slots=True)
class Retired:
    deployments: list[str] = field(default_factory=list)

    def deployed(self, runtime: str) -> None:
        """Not looked at."""

    def retire(self, deployment_id: str) -> None:
        self.deployments.append(deployment_id)


class Api:
    """Calls handlers the way the gateway does."""

    def __init__(self, plane: ControlPlane, account: str = "000000000000", region: str = "us-east-1") -> None:
        self.plane = plane
        self.context = CallContext(
            account=account,
            region=region,
            request_id="r",
            identity=Identity(account, f"arn:aws:iam::{account}:root", "test"),
            base_url="http://127.0.0.1:4566",
        )

    async def __call__(self, operation: str, **parameters: Any) -> Mapping[str, Any]:
        return await self.plane.operations()[operation](self.context, parameters)

    async def create(self, name: str = "f", **parameters: Any) -> Mapping[str, Any]:
        return await self("CreateFunction", **(creation(name) | parameters))

    async def settled(self, name: str = "f") -> Mapping[str, Any]:
        """Wait for the end of the transition."""
        async with asyncio.timeout(20):
            while True:
                reply = await self("GetFunctionConfiguration", FunctionName=name)
                if reply["State"] != "Pending" and reply.get("LastUpdateStatus") != "InProgress":
                    return reply
                await asyncio.sleep(0.005)

    async def created(self, name: str = "f", **parameters: Any) -> Mapping[str, Any]:
        await self.create(name, **parameters)
        return await self.settled(name)


def creation(name: str, code: bytes | None = None) -> dict[str, Any]:
    return {
        "FunctionName": name,
        "Runtime": "python3.11",
        "Role": "arn:aws:iam::000000000000:role/r",
        "Handler": "app.handler",
        "Code": {"ZipFile": code or package("1")},
    }


def package(text: str) -> bytes:
    """A deployment package; the same text always gives the same bytes, whatever the clock says."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("app.py"), f"def handler(event, context):\n    return {text!r}\n")
    return buffer.getvalue()


@pytest.fixture
def support() -> FakeRuntimeSupport:
    return FakeRuntimeSupport()


@pytest.fixture
def retired() -> Retired:
    return Retired()


@pytest.fixture
async def plane(tmp_path: Path, support: FakeRuntimeSupport, retired: Retired) -> AsyncIterator[ControlPlane]:
    async with opened(tmp_path / "data", support=support, observers=[retired]) as server:
        yield server.plane


@pytest.fixture
def api(plane: ControlPlane) -> Api:
    return Api(plane)
