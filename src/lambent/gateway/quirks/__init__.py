"""What the models do not say, by service; each with a test that names its source.

A quirk here is about the wire and about validation. Behaviour belongs to the service.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from lambent.aws.errors import ApiError
from lambent.aws.shapes import OperationModel, ServiceModel
from lambent.aws.validation import Failure, message_of
from lambent.gateway.protocols import WireProtocol
from lambent.gateway.quirks import lambda_, sqs
from lambent.gateway.route import Router


@dataclass(frozen=True, slots=True)
class Dialect:
    """A service as it is spoken on the wire."""

    model: ServiceModel
    protocol: WireProtocol
    router: Router


@dataclass(frozen=True, slots=True)
class Quirks:
    validation_code: str = "ValidationException"
    """The code of a failed model validation."""
    extra_failures: Callable[[str, Mapping[str, Any]], Sequence[Failure]] | None = None
    """Constraints that AWS has and its model lacks: (operation, parameters) -> failures."""
    refusal: Callable[[str, Mapping[str, Any], Sequence[Failure]], ApiError | None] | None = None
    """Another error than `validation_code` for these failures: (operation, parameters, failures)."""
    reply_headers: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    """Headers that the replies of an operation always carry."""
    check: Callable[[OperationModel, Mapping[str, Any]], None] | None = None
    """In place of the constraints of the model, for a service that words its refusals itself. Raises `ApiError`."""
    dialect: Callable[[], Dialect] | None = None
    """In place of the protocol of the model."""
    older: Callable[[], Dialect] | None = None
    """For the requests of SDKs that do not name their operation in `X-Amz-Target`."""


NONE: Final = Quirks()
QUIRKS: Final[Mapping[str, Quirks]] = {
    "lambda": Quirks(
        extra_failures=lambda_.extra_failures,
        refusal=lambda_.refusal,
        reply_headers={"Invoke": lambda_.INVOKE_HEADERS},
    ),
    # Logs answers failed validation with its own modelled code.
    "logs": Quirks(validation_code="InvalidParameterException"),
    "sqs": Quirks(
        check=sqs.check, dialect=lambda: Dialect(*sqs.json_dialect()), older=lambda: Dialect(*sqs.query_dialect())
    ),
    "sts": Quirks(validation_code="ValidationError"),
}


def quirks_of(service: str) -> Quirks:
    return QUIRKS.get(service, NONE)


def refusal(
    quirks: Quirks, operation: str, parameters: Mapping[str, Any], failures: Sequence[Failure]
) -> ApiError | None:
    """The error that these failures become, None when there are none."""
    if quirks.extra_failures is not None:
        failures = [*quirks.extra_failures(operation, parameters), *failures]
    if not failures:
        return None
    if quirks.refusal is not None and (error := quirks.refusal(operation, parameters, failures)) is not None:
        return error
    return ApiError(quirks.validation_code, message_of(failures), status=400)
