"""Which members of the create and update requests have an effect, and which are refused by name until they have.

Nothing is stored and inert. A refused member is accepted while its value means "off" or is AWS's default, because
tools send those. A test walks the models: a member that is in neither table fails it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final

from lambent.aws.errors import invalid_parameter
from lambent.aws.models import service_model
from lambent.aws.service import Parameters
from lambent.aws.shapes import Shape, StructureShape

GUARDED: Final = ("CreateFunction", "UpdateFunctionCode", "UpdateFunctionConfiguration", "PublishVersion")
"""The operations that these tables are about."""

IsOff = Callable[[Any], bool]


def _never(_value: Any) -> bool:
    return False


def _empty(value: Any) -> bool:
    return not value


def _one_of(*defaults: Any) -> IsOff:
    return lambda value: value in defaults


EFFECTIVE: Final = frozenset(
    {
        *("FunctionName", "Role", "Handler", "Runtime", "Description", "Timeout", "MemorySize", "Publish"),
        *("Code", "Code.ZipFile", "ZipFile", "DryRun", "RevisionId", "Tags", "Architectures"),
        *("S3Bucket", "S3Key", "S3ObjectVersion", "Code.S3Bucket", "Code.S3Key", "Code.S3ObjectVersion"),
        *("Environment", "Environment.Variables", "KMSKeyArn", "EphemeralStorage", "EphemeralStorage.Size"),
        *("DeadLetterConfig", "DeadLetterConfig.TargetArn"),
        *(
            "LoggingConfig",
            "LoggingConfig.LogGroup",
            "TracingConfig",
            "SnapStart",
            "SnapStart.ApplyOn",
            "CodeSigningConfigArn",
            "TenancyConfig",
            "TenancyConfig.TenantIsolationMode",
        ),
        *("PackageType", "ImageUri", "Code.ImageUri", "ImageConfig", "ImageConfig.EntryPoint", "ImageConfig.Command"),
        *("ImageConfig.WorkingDirectory", "Layers"),
        *("VpcConfig", "VpcConfig.SubnetIds", "VpcConfig.SecurityGroupIds"),
        *("LoggingConfig.LogFormat", "LoggingConfig.ApplicationLogLevel", "LoggingConfig.SystemLogLevel"),
    }
)
"""Members with an effect, dotted; the containers too."""

REFUSED: Final[Mapping[str, IsOff]] = {
    "Code.S3ObjectStorageMode": _one_of("COPY"),
    "Code.SourceKMSKeyArn": _empty,
    "S3ObjectStorageMode": _one_of("COPY"),
    "SourceKMSKeyArn": _empty,
    "PublishTo": _never,
    "VpcConfig.Ipv6AllowedForDualStack": _empty,
    "TracingConfig.Mode": _one_of("PassThrough"),
    "FileSystemConfigs": _empty,
    "CapacityProviderConfig": _never,
    "DurableConfig": _never,
    "RuntimeConfig": _never,
    "AcceleratorConfig": _never,
}
"""Members without an effect yet, and when their value asks for none."""


_NO_POLLERS: Final = "reading sources other than SQS (the State says so)"
_OTHER_KINDS: Final = "capacity providers and network connectors (501)"
_REFUSED_ELSEWHERE: Final = {
    "CreateEventSourceMapping": [_NO_POLLERS],
    "CreateFunction": ["running PackageType Image (the State says so)"],
    "Invoke": ["DurableExecutionName"],
    "ListTags": [_OTHER_KINDS],
    "PublishLayerVersion": ["Content.S3ObjectStorageMode REFERENCE"],
    "PutRuntimeManagementConfig": ["UpdateRuntimeOn FunctionUpdate", "UpdateRuntimeOn Manual"],
    "TagResource": [_OTHER_KINDS],
    "UntagResource": [_OTHER_KINDS],
    "UpdateEventSourceMapping": [_NO_POLLERS],
}
"""What else is missing of an operation, for docs/coverage.md."""


def refuse_without_effect(parameters: Parameters) -> None:
    """InvalidParameterValueException that names the first member which asks for something not built."""
    for path, is_off in REFUSED.items():
        for value in _values(parameters, path.split(".")):
            if not is_off(value):
                raise invalid_parameter(_why(path, value))


def _why(path: str, value: Any) -> str:
    if isinstance(value, str):
        return f"{path} {value} is not supported by Lambent yet."
    return f"{path} is not supported by Lambent yet."


def _values(parameters: Any, path: Sequence[str]) -> Iterator[Any]:
    value = parameters
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            return
        value = value[name]
    if value is not None:
        yield value


@cache
def partial() -> dict[str, list[str]]:
    """By operation, the members of `REFUSED` that its request has."""
    model = service_model("lambda")
    found = {name: model.operation_model(name).input_shape for name in GUARDED}
    members = {name: [path for path in REFUSED if _has(shape, path.split("."))] for name, shape in found.items()}
    names = sorted(members.keys() | _REFUSED_ELSEWHERE)
    return {name: [*members.get(name, ()), *_REFUSED_ELSEWHERE.get(name, ())] for name in names}


def _has(shape: Shape | None, path: Sequence[str]) -> bool:
    for name in path:
        if not isinstance(shape, StructureShape) or name not in shape.members:
            return False
        shape = shape.members[name]
    return True
