"""No operation that names a function reaches one of another account, whatever is registered (spec section 7)."""

from pathlib import Path
from typing import Any

import pytest

from lambent.aws.errors import ApiError
from lambent.aws.models import service_model
from lambent.aws.service import CallContext, Identity, Operations
from lambent.testing.registered import registered

ACCOUNT = "210987654321"
FOREIGN = "arn:aws:lambda:us-east-1:123456789012:function:f"
CONTEXT = CallContext(
    account=ACCOUNT,
    region="us-east-1",
    request_id="r",
    identity=Identity(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", "test"),
    base_url="http://127.0.0.1:4566",
)
NAMES = ("FunctionName", "Resource", "ResourceArn")


def naming(operations: Operations) -> dict[str, str]:
    """Operations of the table that name a function, with the member that does."""
    found = {}
    for operation in operations:
        shape = service_model("lambda").operation_model(operation).input_shape
        member = next((name for name in NAMES if shape is not None and name in shape.members), None)
        if member is not None:
            found[operation] = member
    return found


async def test_a_function_of_another_account_is_refused_by_every_operation_that_names_one(tmp_path: Path) -> None:
    async with registered(tmp_path / "data") as services:
        operations = services["lambda"].operations
        named = naming(operations)
        assert len(named) > 40
        for operation, member in named.items():
            parameters: dict[str, Any] = {member: FOREIGN, "Name": "live"}
            with pytest.raises(ApiError) as refused:
                await operations[operation](CONTEXT, parameters)
            assert (refused.value.status, refused.value.code) == (403, "AccessDeniedException"), operation
