"""Who may do what with a function, by the resource policy of the qualifier that is called.

A caller of the function's own account may do everything unless the policy denies it: identity policies are not
enforced on a loopback listener (docs/security.md). Everybody else (other accounts, services, strangers) may do what
the policy allows and nothing more. Verdicts are kept until the read model changes.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from lambent.aws.errors import ApiError
from lambent.aws.policy.decision import Decision, Request, decide
from lambent.aws.policy.documents import Document, parse
from lambent.aws.policy.principals import Principal
from lambent.aws.service import Source
from lambent.functions.read_model import ReadModel
from lambent.functions.records import LATEST, Policy
from lambent.functions.resolve import INVOKE, Target, denied

MOST_KEPT: Final = 4096
"""Verdicts, of which callers can ask for any number."""
_NOTHING: Final[Mapping[str, str]] = {}
_DIRECT: Final = {"lambda:InvokedViaFunctionUrl": "false"}
"""Of a call of the API."""


class Authorizer:
    def __init__(self, read_model: ReadModel) -> None:
        self._read_model = read_model
        self._generation = -1
        self._known: dict[tuple[Target, Principal, str, tuple[tuple[str, str], ...]], Decision] = {}

    def may_invoke(
        self,
        target: Target,
        principal: Principal,
        context: Mapping[str, str] = _NOTHING,
        *,
        action: str = INVOKE,
    ) -> bool:
        """Whether `principal` may call the function, version or alias that `target` names, whether that exists or not.

        `context` holds the condition keys that the one who calls this knows: `aws:SourceArn`, `aws:SourceAccount`,
        `aws:PrincipalOrgID`, `lambda:FunctionUrlAuthType`, `lambda:InvokedViaFunctionUrl` ("true"),
        `lambda:EventSourceToken`. Those of the principal and of the function are added here. A function URL asks
        twice: `lambda:InvokeFunctionUrl` and `lambda:InvokeFunction`.
        """
        decision = self.decide(target, principal, action, context)
        if principal.account == target.key.account:
            return decision is not Decision.DENIED
        return decision is Decision.ALLOWED

    def admit(self, target: Target, caller_arn: str, action: str) -> None:
        """Raise `ApiError` 403 unless the caller of an API operation may do this. `functions.resolve.Admit`."""
        decision = self.decide(target, Principal.of_arn(caller_arn), action, _DIRECT)
        if decision is Decision.DENIED:
            raise ApiError(
                "AccessDeniedException",
                f"User: {caller_arn} is not authorized to perform: {action} on resource: {target.arn}"
                " with an explicit deny in a resource-based policy",
                status=403,
            )
        if decision is Decision.SILENT and Principal.of_arn(caller_arn).account != target.key.account:
            raise denied(target.arn, action, caller_arn)

    def admit_service(self, target: Target, service: str, source: Source) -> None:
        """The same for a service that invokes on behalf of a resource: only a policy lets it, whoever owns that."""
        context = {"aws:SourceArn": source.arn, "aws:SourceAccount": source.account, **_DIRECT}
        if not self.may_invoke(target, Principal.of_service(service), context):
            raise denied(target.arn, INVOKE, service)

    def decide(
        self, target: Target, principal: Principal, action: str, context: Mapping[str, str] = _NOTHING
    ) -> Decision:
        """What the policy says, which for a caller of the same account is not the last word."""
        if self._generation != self._read_model.generation or len(self._known) > MOST_KEPT:
            self._known = {}
            self._generation = self._read_model.generation
        asked = (target, principal, action, tuple(sorted(context.items())))
        found = self._known.get(asked)
        if found is None:
            found = self._known[asked] = self._decide(target, principal, action, context)
        return found

    def _decide(self, target: Target, principal: Principal, action: str, context: Mapping[str, str]) -> Decision:
        function = self._read_model.get(target.key)
        # Nothing is attached to $LATEST by that name; a policy of the function has to name it as a resource.
        qualifier = "" if target.qualifier in (None, LATEST) else str(target.qualifier)
        found = None if function is None else function.attached(Policy, qualifier)
        if found is None:
            return Decision.SILENT
        known: dict[str, str] = {**context, **_keys(principal), "lambda:FunctionArn": target.arn}
        return decide([_parsed(found.document)], Request(principal, action, target.arn, known))


@lru_cache(maxsize=1024)
def _parsed(document: str) -> Document:
    return parse(document)


def _keys(principal: Principal) -> dict[str, str]:
    """Condition keys that say who the caller is."""
    keys: dict[str, str] = {}
    if principal.account is not None:
        keys["aws:PrincipalAccount"] = principal.account
        keys["aws:PrincipalArn"] = principal.role_arn or principal.name
    if principal.kind == "Service":
        keys["aws:PrincipalServiceName"] = principal.name
    return keys | {"aws:PrincipalIsAWSService": str(principal.kind == "Service").lower()}
