"""Lambda: validation that its model does not describe, and constant headers of Invoke."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from lambent.aws.errors import ApiError, invalid_parameter
from lambent.aws.validation import Failure, message_of

INVOKE_HEADERS: Final = (("x-amzn-Remapped-Content-Length", "0"),)
NAME_BYTES: Final = 64
_BARE: Final = re.compile(r"[^:]*")
_ENUM: Final = "Member must satisfy enum value set: ["
_PATTERN: Final = "Member must satisfy regular expression pattern: "


def extra_failures(operation: str, parameters: Mapping[str, Any]) -> Sequence[Failure]:
    """A bare name has 64 characters at most; the model's 140 is for ARNs."""
    name = parameters.get("FunctionName")
    # Over 140, the model's own rule speaks.
    if operation == "CreateFunction" and name and is_bare(name) and NAME_BYTES < len(name) <= 140:
        return [Failure("functionName", name, f"Member must have length less than or equal to {NAME_BYTES}")]
    return ()


def refusal(operation: str, parameters: Mapping[str, Any], failures: Sequence[Failure]) -> ApiError | None:
    name_failures = [failure for failure in failures if failure.path == "functionName" and failure.value is not None]
    if operation == "CreateFunction" and name_failures and is_bare(parameters["FunctionName"]):
        # A bad bare name is InvalidParameterValue, a bad ARN is ValidationException.
        return invalid_parameter(message_of(failures))
    if operation == "DeleteFunction" and len(name_failures) > 1:
        # The pattern is reported first, and alone.
        patterns = [failure for failure in name_failures if failure.constraint.startswith(_PATTERN)]
        return ApiError("ValidationException", message_of(patterns or name_failures), status=400)
    if operation == "CreateEventSourceMapping" and any(failure.path == "startingPosition" for failure in failures):
        return ApiError("ValidationException", message_of([*map(_in_order_of_aws, failures)]), status=400)
    if operation == "PublishLayerVersion":
        told = sorted(map(_of_a_layer, failures), key=lambda failure: failure.path == "compatibleArchitectures")
        return ApiError("ValidationException", message_of(told), status=400)
    return _bad_runtime(operation, failures)


def _in_order_of_aws(failure: Failure) -> Failure:
    """AWS prints the positions in another order than its model has them."""
    if failure.path != "startingPosition":
        return failure
    return replace(failure, constraint=f"{_ENUM}LATEST, AT_TIMESTAMP, TRIM_HORIZON]")


def _of_a_layer(failure: Failure) -> Failure:
    """AWS tells the list of runtimes without the rules around it, that of architectures without one of them."""
    inner = failure.constraint.removeprefix("Member must satisfy constraint: [").removesuffix(
        ", Member must not be null]"
    )
    match failure.path:
        case "compatibleRuntimes":
            return replace(failure, constraint=inner)
        case "compatibleArchitectures":
            return replace(failure, constraint=f"Member must satisfy constraint: [{inner}]")
    return failure


def is_bare(name: str) -> bool:
    return _BARE.fullmatch(name) is not None


def _bad_runtime(operation: str, failures: Sequence[Failure]) -> ApiError | None:
    """An unknown runtime, when nothing else is wrong, has its own words."""
    if operation not in ("CreateFunction", "UpdateFunctionConfiguration") or len(failures) != 1:
        return None
    failure = failures[0]
    if failure.path != "runtime" or not failure.constraint.startswith(_ENUM):
        return None
    return invalid_parameter(
        f"Value {failure.value} at 'runtime' failed to satisfy constraint: {failure.constraint} or be a valid ARN"
    )
