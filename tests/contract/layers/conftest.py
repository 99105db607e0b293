"""boto3 of two accounts on one control plane, and layers to publish."""

import io
import zipfile
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from lambent.functions.control_plane import ControlPlane
from lambent.testing.aws_client import aws_client
from tests.contract.functions import conftest as functions
from tests.contract.functions.conftest import Lambda

support = functions.support
quotas = functions.quotas
neighbours = functions.neighbours
ec2 = functions.ec2
place = functions.place
plane = functions.plane
lambda_ = functions.lambda_

OTHER = "210987654321"
LAYER = f"arn:aws:lambda:us-east-1:{functions.ACCOUNT}:layer:"


def archive(files: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as written:
        for name, text in files.items():
            written.writestr(zipfile.ZipInfo(name), text, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def content(text: str = "1") -> dict[str, Any]:
    return {"ZipFile": archive({"python/shared.py": f"VALUE = {text!r}\n"})}


async def publish(client: Lambda, name: str = "l", text: str = "1", **parameters: Any) -> dict[str, Any]:
    reply: dict[str, Any] = await client.publish_layer_version(LayerName=name, Content=content(text), **parameters)
    return reply


@pytest.fixture
async def other(plane: ControlPlane) -> AsyncIterator[Lambda]:
    """A client of another account."""
    async with aws_client("lambda", plane.operations(), account=OTHER) as client:
        yield Lambda(client)
