"""Every operation that names a function, with an ARN of another region or account (spec of the API, 1.0, 1.2 and 7)."""

from typing import Any, Final

import pytest
from botocore import xform_name

from lambent.aws.models import service_model
from lambent.aws.shapes import Shape
from lambent.functions.admission import CROSS_ACCOUNT
from lambent.functions.control_plane import ControlPlane
from tests.contract.functions.conftest import ACCOUNT, OTHER_ACCOUNT, Lambda
from tests.unit.functions.conftest import creation

MODEL: Final = service_model("lambda")
NAMES: Final = ("FunctionName", "Resource", "ResourceArn")
VALUES: Final[dict[str, Any]] = {
    **creation("f"),
    "Action": "lambda:InvokeFunction",
    "CodeSigningConfigArn": f"arn:aws:lambda:us-east-1:{ACCOUNT}:code-signing-config:csc-0123456789abcdef0",
    "FunctionVersion": "1",
    "Name": "live",
    "Policy": "{}",
    "Principal": "s3.amazonaws.com",
    "Qualifier": "live",
    "Tags": {"a": "b"},
    "UpdateRuntimeOn": "Auto",
    "AuthType": "NONE",
    "RecursiveLoop": "Allow",
}


def naming_a_function(plane: ControlPlane) -> dict[str, str]:
    """Operations of the control plane, with the member that names the function."""
    found = {}
    for name in plane.operations():
        shape = MODEL.operation_model(name).input_shape
        member = next((each for each in NAMES if shape is not None and each in shape.required_members), None)
        if member is not None:
            found[name] = member
    return found


def required(operation: str, name: str) -> dict[str, Any]:
    shape = MODEL.operation_model(operation).input_shape
    assert shape is not None
    wanted = [each for each in shape.required_members if each not in NAMES]
    return {each: VALUES.get(each, value(shape.members[each])) for each in wanted} | {name: ""}


def value(shape: Shape) -> Any:
    return {"integer": 1, "long": 1, "list": ["a"], "blob": b"{}"}.get(shape.type_name, "abc")


async def test_an_arn_of_another_region_is_not_reachable_by_any_operation(lambda_: Lambda, plane: ControlPlane) -> None:
    """1.2, as AWS was seen to answer."""
    arn = f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:f"
    operations = naming_a_function(plane)
    assert len(operations) > 40
    for operation, member in operations.items():
        asked = {**required(operation, member), member: arn}
        assert await lambda_.refused(xform_name(operation), **asked) == (
            404,
            "ResourceNotFoundException",
            "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')",
        ), operation


async def test_an_arn_of_another_account_is_denied_by_every_operation(lambda_: Lambda, plane: ControlPlane) -> None:
    """1.0 and 7: with the action where a policy could have allowed it, without a word where none can."""
    arn = f"arn:aws:lambda:us-east-1:{OTHER_ACCOUNT}:function:f"
    for operation, member in naming_a_function(plane).items():
        asked = {**required(operation, member), member: arn}
        status, code, message = await lambda_.refused(xform_name(operation), **asked)
        assert (status, code) == (403, "AccessDeniedException"), operation
        assert (f"to perform: lambda:{operation} on resource: {arn}" in (message or "")) == (
            operation in CROSS_ACCOUNT
        ), operation


@pytest.mark.parametrize("form", ["{}:f", "{}:function:f"])
async def test_a_partial_arn_of_another_account_is_denied_too(lambda_: Lambda, form: str) -> None:
    """1.2: partial forms."""
    await lambda_.create()
    refused = await lambda_.refused("get_function", FunctionName=form.format(OTHER_ACCOUNT))
    assert refused[:2] == (403, "AccessDeniedException")
