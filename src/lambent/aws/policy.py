"""IAM policy documents: read them, and decide what they say about one request.

Pure. Knows the language (effects, principals, actions, resources, conditions, variables), not which keys or actions
a service has. Refuses documents that are not of the language; what a service allows beside that is its own business.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from lambent.aws.policy_conditions import Condition, conditions_of
from lambent.aws.policy_text import PolicyError, Values, matches, strings

VERSIONS: Final = ("2012-10-17", "2008-10-17")
_KINDS: Final = ("AWS", "Service", "Federated", "CanonicalUser")
_ROLE: Final = re.compile(r"arn:(?P<partition>[^:]+):iam::(?P<account>\d{12}):role/(?:.*/)?(?P<name>[^/]+)")
_SESSION: Final = re.compile(
    r"arn:(?P<partition>[^:]+):sts::(?P<account>\d{12}):assumed-role/(?P<name>[^/]+)/(?P<session>.+)"
)
_ACCOUNT: Final = re.compile(r"(?:arn:[^:]+:(?:iam|sts)::)?(?P<account>\d{12})(?::.+)?")


class Decision(Enum):
    ALLOWED = "allowed"
    DENIED = "denied"
    """A statement says Deny; nothing can allow it again."""
    SILENT = "silent"
    """No statement is about the request, which means no unless another policy allows it."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: (`AWS`, ARN of a user, role, session or account root), (`Service`, `s3.amazonaws.com`),
    (`Federated`, provider), or (`Anonymous`, "")."""

    kind: str
    name: str

    @classmethod
    def of_arn(cls, arn: str) -> "Principal":
        return cls("AWS", arn)

    @classmethod
    def of_service(cls, name: str) -> "Principal":
        return cls("Service", name)

    @property
    def account(self) -> str | None:
        """None for services and strangers."""
        found = _ACCOUNT.fullmatch(self.name) if self.kind == "AWS" else None
        return None if found is None else found["account"]

    @property
    def role_arn(self) -> str | None:
        """Of a session: its role, without the path, which a session does not tell."""
        found = _SESSION.fullmatch(self.name) if self.kind == "AWS" else None
        return None if found is None else f"arn:{found['partition']}:iam::{found['account']}:role/{found['name']}"


ANONYMOUS: Final = Principal("Anonymous", "")


@dataclass(frozen=True, slots=True)
class Request:
    """`context` holds the condition keys of the request, in any case, each with one value or several."""

    principal: Principal
    action: str
    resource: str
    context: Mapping[str, str | Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Named:
    """Values of an element that exists in two forms: `Action` and `NotAction`."""

    values: tuple[str, ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class NamedPrincipals:
    values: tuple[tuple[str, str], ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class Statement:
    """None: the document has no such element, as identity policies have no Principal."""

    sid: str | None
    denies: bool
    principals: NamedPrincipals | None
    actions: Named
    resources: Named | None
    conditions: tuple[Condition, ...]

    def applies(self, request: Request, context: Values) -> bool:
        return (
            _acts(self.actions, request.action)
            and (self.resources is None or _is_about(self.resources, request.resource, context))
            and (self.principals is None or _is_by(self.principals, request.principal))
            and all(condition.holds(context) for condition in self.conditions)
        )


@dataclass(frozen=True, slots=True)
class Document:
    version: str
    statements: tuple[Statement, ...]


def decide(documents: Iterable[Document], request: Request) -> Decision:
    """What all documents together say. An explicit Deny wins."""
    context = {
        key.lower(): (value,) if isinstance(value, str) else tuple(value) for key, value in request.context.items()
    }
    allowed = False
    for document in documents:
        for statement in document.statements:
            if (statement.denies or not allowed) and statement.applies(request, context):
                if statement.denies:
                    return Decision.DENIED
                allowed = True
    return Decision.ALLOWED if allowed else Decision.SILENT


def parse(text: str) -> Document:
    """Raises `PolicyError` with a sentence that says what is wrong."""
    try:
        document = json.loads(text, object_pairs_hook=_once)
    except RecursionError:
        raise PolicyError("The policy is nested too deeply.") from None
    except json.JSONDecodeError as error:
        raise PolicyError(f"The policy is not valid JSON: {error}.") from None
    if not isinstance(document, dict):
        raise PolicyError("The policy is not a JSON object.")
    _refuse_others(document, {"Version", "Id", "Statement"}, "The policy")
    version = document.get("Version", VERSIONS[1])
    if version not in VERSIONS:
        raise PolicyError(f"The Version of the policy must be one of {', '.join(VERSIONS)}.")
    statements = document.get("Statement")
    listed = statements if isinstance(statements, list) else [statements]
    if not listed:
        raise PolicyError("The policy needs at least one statement.")
    parsed = tuple(_statement(each) for each in listed)
    sids = [each.sid for each in parsed if each.sid]
    if len(set(sids)) != len(sids):
        raise PolicyError("Statement IDs (SID) in a single policy must be unique.")
    return Document(version, parsed)


_ELEMENTS: Final = {
    *("Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition")
}


def _statement(given: Any) -> Statement:
    if not isinstance(given, dict):
        raise PolicyError("The policy needs a Statement that is an object or a list of objects.")
    _refuse_others(given, _ELEMENTS, "A statement")
    sid = given.get("Sid")
    if sid is not None and not isinstance(sid, str):
        raise PolicyError("A Sid must be a string.")
    if given.get("Effect") not in ("Allow", "Deny"):
        raise PolicyError("The Effect of a statement must be Allow or Deny.")
    actions = _named(given, "Action")
    if actions is None:
        raise PolicyError("A statement needs an Action or a NotAction.")
    for action in actions.values:
        if action != "*" and not re.fullmatch(r"[a-zA-Z0-9-]+:[a-zA-Z0-9*?]+", action):
            raise PolicyError(f"Not an action: {action}.")
    return Statement(
        sid=sid,
        denies=given["Effect"] == "Deny",
        principals=_principals(given),
        actions=actions,
        resources=_named(given, "Resource"),
        conditions=conditions_of(given.get("Condition", {})),
    )


def _named(given: Mapping[str, Any], element: str) -> Named | None:
    negation = f"Not{element}"
    if element in given and negation in given:
        raise PolicyError(f"A statement cannot have both {element} and {negation}.")
    for name in (element, negation):
        if name in given:
            return Named(strings(given[name], name), negated=name == negation)
    return None


def _principals(given: Mapping[str, Any]) -> NamedPrincipals | None:
    if "Principal" in given and "NotPrincipal" in given:
        raise PolicyError("A statement cannot have both Principal and NotPrincipal.")
    for element in ("Principal", "NotPrincipal"):
        if element in given:
            return NamedPrincipals(_principal_values(given[element]), negated=element == "NotPrincipal")
    return None


def _principal_values(given: Any) -> tuple[tuple[str, str], ...]:
    if given == "*":
        return (("*", "*"),)
    if not isinstance(given, dict) or not given:
        raise PolicyError('A Principal must be "*" or name AWS, Service, Federated or CanonicalUser.')
    _refuse_others(given, _KINDS, "A Principal")
    values = [(kind, value) for kind, names in given.items() for value in strings(names, "Principal")]
    for kind, value in values:
        if kind == "AWS" and value != "*" and not _ACCOUNT.fullmatch(value):
            raise PolicyError(f"Invalid principal in policy: {value}.")
        if value != "*" and "*" in value:
            raise PolicyError(f"A principal has no wildcards: {value}.")
    return tuple(values)


def _is_by(named: NamedPrincipals, principal: Principal) -> bool:
    found = any(_is_principal(kind, value, principal) for kind, value in named.values)
    return found is not named.negated


def _is_principal(kind: str, value: str, principal: Principal) -> bool:
    if value == "*":
        # Also services come under {"AWS": "*"}; older policies of topics and queues rely on that.
        return kind in ("*", "AWS", principal.kind)
    if kind != principal.kind:
        return False
    if value == principal.name:
        return True
    account = principal.account
    if account is None:
        return False
    if value == account or re.fullmatch(rf"arn:[^:]+:iam::{account}:root", value):
        return True
    role = _ROLE.fullmatch(value)
    session = _SESSION.fullmatch(principal.name)
    return bool(role and session and (role["account"], role["name"]) == (session["account"], session["name"]))


def _acts(named: Named, action: str) -> bool:
    found = any(matches(value.lower(), action.lower(), {}) for value in named.values)
    return found is not named.negated


def _is_about(named: Named, resource: str, context: Values) -> bool:
    return any(matches(value, resource, context) for value in named.values) is not named.negated


def _refuse_others(given: Mapping[str, Any], known: Iterable[str], what: str) -> None:
    for name in given:
        if name not in known:
            raise PolicyError(f"{what} has an unknown element: {name}.")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise PolicyError("The policy names an element twice in one object.")
    return found
