"""Who may do what with a function, by the resource policy of the qualifier that is called.

A caller of the function's own account may do everything unless the policy denies it: identity policies are not
enforced on a loopback listener (docs/security.md). Everybody else (other accounts, services, strangers) may do what
the policy allows and nothing more. Verdicts are kept until the read model changes.
"""

from collections.abc import Mapping
from typing import Final

from lambent.aws import policy
from lambent.aws.policy import Decision, Principal, Request
from lambent.functions.read_model import ReadModel
from lambent.functions.records import Policy
from lambent.functions.resolve import Target

INVOKE: Final = "lambda:InvokeFunction"
_NOTHING: Final[Mapping[str, str]] = {}


class Authorizer:
    def __init__(self, read_model: ReadModel) -> None:
        self._read_model = read_model

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

    def decide(
        self, target: Target, principal: Principal, action: str, context: Mapping[str, str] = _NOTHING
    ) -> Decision:
        function = self._read_model.get(target.key)
        qualifier = target.qualifier or ""
        found = None if function is None else function.attached(Policy, "" if qualifier == "$LATEST" else qualifier)
        if found is None:
            return Decision.SILENT
        known = {**context, **_keys(principal), "lambda:FunctionArn": target.arn}
        return policy.decide([policy.parse(found.document)], Request(principal, action, target.arn, known))


def _keys(principal: Principal) -> dict[str, str]:
    """Condition keys that say who the caller is."""
    keys: dict[str, str] = {}
    if principal.account is not None:
        keys["aws:PrincipalAccount"] = principal.account
        keys["aws:PrincipalArn"] = principal.role_arn or principal.name
    if principal.kind == "Service":
        keys["aws:PrincipalServiceName"] = principal.name
    return keys | {"aws:PrincipalIsAWSService": str(principal.kind == "Service").lower()}
