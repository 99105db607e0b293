"""The three families of failure.

`ApiError` is the caller's: a code that the operation's model knows, or one of the common codes. `FunctionFault` is
the function's, its runtime's or its extension's: HTTP 200 with `X-Amz-Function-Error`. `PlatformFault` is ours: 500,
logged with its stack. Anything else that is raised is a bug and shows as one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class ApiError(Exception):
    """An error of the caller, answered in the protocol of the service.

    `status` is needed only for codes that the model does not know; `members` are further members of the modelled
    error shape (for example `Reason`); `headers` are added to the reply as they are.
    """

    def __init__(
        self,
        code: str,
        message: str | None,
        *,
        status: int | None = None,
        members: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.members = dict(members or {})
        self.headers = dict(headers or {})


@dataclass(frozen=True, slots=True)
class FunctionFault:
    """Why an invocation failed on the function's side. `payload` is what the caller gets, JSON bytes."""

    error_type: str
    payload: bytes


class CutOff(Exception):
    """A reply that has begun cannot be completed: its connection ends without its end."""


class PlatformFault(Exception):
    """A failure of Lambent itself: answered as ServiceException 500 and counted."""


def invalid_parameter(message: str) -> ApiError:
    return ApiError("InvalidParameterValueException", message)


def without_type(error: ApiError) -> ApiError:
    """The same error with no member `Type`: a few of AWS's have none."""
    error.members["Type"] = None
    return error


def not_found(message: str) -> ApiError:
    return ApiError("ResourceNotFoundException", message)


def conflict(message: str) -> ApiError:
    return ApiError("ResourceConflictException", message)


def throttled(reason: str) -> ApiError:
    """429 of an invocation; SDKs retry on the code, people read the reason."""
    return ApiError(
        "TooManyRequestsException",
        "Rate Exceeded.",
        members={"Reason": reason, "Type": "User"},
        headers={"Retry-After": "1"},
    )


def not_built(operation: str, what: str | None = None) -> ApiError:
    """501 for what Lambent does not do yet; `docs/coverage.md` lists it."""
    subject = what or f"The operation {operation}"
    return ApiError(
        "NotImplementedException", f"{subject} is not built in Lambent yet. See docs/coverage.md.", status=501
    )
