"""An `ApiError` against the model: its status, and the JSON members that clients read.

The casing of `message` and the presence of `Type` follow the modelled shape; a code that no model knows has the
casing that AWS was seen to use.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from lambent.aws.errors import ApiError
from lambent.aws.shapes import ServiceModel, StructureShape
from lambent.gateway.protocols.json_body import document_of
from lambent.gateway.protocols.shapes import bindings, scalar_to_text

UNMODELLED_CAPITAL: Final = frozenset({"AccessDeniedException"})
FALLBACK_STATUS: Final = 400


@dataclass(frozen=True, slots=True)
class ErrorReply:
    code: str
    status: int
    members: Mapping[str, Any] = field(default_factory=dict)
    headers: tuple[tuple[str, str], ...] = ()


def error_shape(model: ServiceModel, code: str) -> StructureShape | None:
    for shape in model.error_shapes:
        if shape.name == code or shape.error_code == code:
            return shape
    return None


def describe(model: ServiceModel | None, error: ApiError) -> ErrorReply:
    """Members in the order in which AWS prints them: alphabetical, capitals first."""
    shape = error_shape(model, error.code) if model is not None else None
    headers = list(error.headers.items())
    if shape is None:
        status = error.status or FALLBACK_STATUS
        key = "Message" if error.code in UNMODELLED_CAPITAL else "message"
        members: dict[str, Any] = {**error.members, key: error.message}
    else:
        status = error.status or shape.metadata.get("error", {}).get("httpStatusCode") or _default_status(shape)
        members = {}
        places = bindings(shape)
        for name, value in error.members.items():
            if name in places.header:
                text = scalar_to_text(places.header[name], value, timestamps="rfc822")
                headers.append((places.wire_names[name], text))
            elif value is not None:
                members[places.wire_names[name]] = document_of(value, shape.members[name])
        # An explicit None: some errors of AWS are without it.
        if "Type" in shape.members and "Type" not in error.members:
            members.setdefault("Type", "Service" if status >= 500 else "User")
        members["Message" if "Message" in shape.members else "message"] = error.message
    if status == 429 and not any(name.lower() == "retry-after" for name, _ in headers):
        headers.append(("Retry-After", "1"))
    return ErrorReply(error.code, status, dict(sorted(members.items())), tuple(headers))


def _default_status(shape: StructureShape) -> int:
    return 500 if shape.metadata.get("fault") else FALLBACK_STATUS
