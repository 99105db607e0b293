"""Every member of the create and update requests has an effect or is refused by its name."""

from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
from botocore.model import ListShape, MapShape, Shape, StructureShape

from lambent.aws.errors import ApiError
from lambent.functions.api.options import EFFECTIVE, REFUSED, refuse_without_effect

MODEL = botocore.session.Session().get_service_model("lambda")
OPERATIONS = ("CreateFunction", "UpdateFunctionCode", "UpdateFunctionConfiguration", "PublishVersion")
GUARDS = {"CodeSha256"}
"""Members that are only compared."""


def members(shape: Shape, path: str = "") -> Iterator[tuple[str, Shape]]:
    """Dotted paths of all members, not looking into what is refused as a whole."""
    if isinstance(shape, StructureShape) and not isinstance(shape, MapShape):
        for name, member in shape.members.items():
            inner = f"{path}.{name}" if path else name
            yield inner, member
            if inner not in REFUSED:
                yield from members(member, inner)


ALL = [
    (operation, path) for operation in OPERATIONS for path, _ in members(MODEL.operation_model(operation).input_shape)
]


@pytest.mark.parametrize(("operation", "path"), ALL)
def test_a_member_has_an_effect_or_is_refused(operation: str, path: str) -> None:
    assert (path in EFFECTIVE | GUARDS) != (path in REFUSED), f"{operation} {path}: declare it in api/options.py"


def test_no_table_names_a_member_that_does_not_exist() -> None:
    known = {path for _, path in ALL}
    assert known >= EFFECTIVE
    assert set(REFUSED) <= known


ON: dict[str, Any] = {
    "TracingConfig.Mode": "Active",
    "SnapStart.ApplyOn": "PublishedVersions",
    "S3ObjectStorageMode": "REFERENCE",
    "Code.S3ObjectStorageMode": "REFERENCE",
}


def example(shape: Shape) -> Any:
    if isinstance(shape, MapShape):
        return {"key": example(shape.value)}
    if isinstance(shape, StructureShape):
        return {name: example(member) for name, member in shape.members.items()}
    if isinstance(shape, ListShape):
        return [example(shape.member)]
    return {"boolean": True, "integer": 7, "long": 7, "blob": b"x"}.get(shape.type_name, "value")


def nested(path: str, value: Any) -> dict[str, Any]:
    for name in reversed(path.split(".")):
        value = {name: value}
    return dict(value)


@pytest.mark.parametrize("path", REFUSED)
def test_a_member_without_an_effect_is_refused_by_its_name(path: str) -> None:
    shape = next(
        shape for o in OPERATIONS for found, shape in members(MODEL.operation_model(o).input_shape) if found == path
    )
    with pytest.raises(ApiError) as refused:
        refuse_without_effect(nested(path, ON.get(path, example(shape))))
    assert refused.value.code == "InvalidParameterValueException"
    assert refused.value.message is not None
    assert refused.value.message.startswith(path)


OFF: list[dict[str, Any]] = [
    {"VpcConfig": {"SubnetIds": [], "SecurityGroupIds": []}},
    {"VpcConfig": {"SubnetIds": [], "SecurityGroupIds": [], "Ipv6AllowedForDualStack": False}},
    {"TracingConfig": {"Mode": "PassThrough"}},
    {"Layers": []},
    {"FileSystemConfigs": []},
    {"SnapStart": {"ApplyOn": "None"}},
    {"LoggingConfig": {"LogFormat": "Text", "LogGroup": "/g"}},
]


@pytest.mark.parametrize("parameters", OFF, ids=lambda p: next(iter(p)))
def test_a_value_that_means_off_is_accepted(parameters: dict[str, Any]) -> None:
    refuse_without_effect(parameters)
