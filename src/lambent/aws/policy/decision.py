"""What documents say about one request: allowed, denied, or nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from lambent.aws.policy.documents import Document, Named, Statement
from lambent.aws.policy.principals import Principal, is_by
from lambent.aws.policy.text import Values, matches


class Decision(Enum):
    ALLOWED = "allowed"
    DENIED = "denied"
    """A statement says Deny; nothing can allow it again."""
    SILENT = "silent"
    """No statement is about the request, which means no unless another policy allows it."""


@dataclass(frozen=True, slots=True)
class Request:
    """`context` holds the condition keys of the request, in any case, each with one value or several."""

    principal: Principal
    action: str
    resource: str
    context: Mapping[str, str | Sequence[str]] = field(default_factory=dict)


def decide(documents: Iterable[Document], request: Request) -> Decision:
    """What all documents together say. An explicit Deny wins."""
    context = {
        key.lower(): (value,) if isinstance(value, str) else tuple(value) for key, value in request.context.items()
    }
    allowed = False
    for document in documents:
        for statement in document.statements:
            if (statement.denies or not allowed) and _applies(statement, request, context):
                if statement.denies:
                    return Decision.DENIED
                allowed = True
    return Decision.ALLOWED if allowed else Decision.SILENT


def _applies(statement: Statement, request: Request, context: Values) -> bool:
    return (
        _acts(statement.actions, request.action)
        and (statement.resources is None or _is_about(statement.resources, request.resource, context))
        and (statement.principals is None or is_by(statement.principals, request.principal))
        and all(condition.holds(context) for condition in statement.conditions)
    )


def _acts(named: Named, action: str) -> bool:
    found = any(matches(value.lower(), action.lower(), {}) for value in named.values)
    return found is not named.negated


def _is_about(named: Named, resource: str, context: Values) -> bool:
    return any(matches(value, resource, context) for value in named.values) is not named.negated
