"""The policies' say before every operation on a function: other accounts in, denied callers out.

Wraps the table of operations, so that no handler asks for itself: who is let in acts on the state of the owner. Its
texts and its list of operations are AWS's. Refuses nothing else: bad names are left to the handlers.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from lambent.aws.errors import ApiError
from lambent.aws.service import CallContext, Handler, Operations, Parameters, Result
from lambent.functions.authorize import Authorizer
from lambent.functions.resolve import Target, address, denied_without_reason
from lambent.functions.statements import ACTIONS

CROSS_ACCOUNT: Final = frozenset(action.removeprefix("lambda:") for action in ACTIONS)
"""Operations that a policy can open to other accounts."""

_RECOVERY: Final = frozenset({"PutResourcePolicy", "GetResourcePolicy", "DeleteResourcePolicy"})
"""What the root of an account can always do, so that a Deny for everybody can be taken back."""

_NAMES: Final = ("FunctionName", "Resource", "ResourceArn")


def admitted(operations: Operations, authorizer: Authorizer) -> Operations:
    return {name: _guarded(name, handler, authorizer) for name, handler in operations.items()}


def _guarded(operation: str, handler: Handler, authorizer: Authorizer) -> Handler:
    action = f"lambda:{operation}"

    async def guarded(context: CallContext, parameters: Parameters) -> Result:
        target = _target(context, parameters)
        if target is None:
            return await handler(context, parameters)
        caller = context.identity.arn
        if target.key.account != context.account:
            if operation not in CROSS_ACCOUNT:
                raise denied_without_reason()
            authorizer.admit(target, caller, action)
            context = replace(context, account=target.key.account)
        elif not (operation in _RECOVERY and caller.endswith(":root")):
            authorizer.admit(target, caller, action)
        return await handler(context, parameters)

    return guarded


def _target(context: CallContext, parameters: Mapping[str, object]) -> Target | None:
    """The function that the call names; None when it names none, or in no way that can be read."""
    name = next((parameters[each] for each in _NAMES if parameters.get(each)), None)
    if not isinstance(name, str) or (name.startswith("arn:") and ":function:" not in name):
        return None
    qualifier = parameters.get("Qualifier")
    try:
        return address(context.account, context.region, name, str(qualifier) if qualifier else None)
    except ApiError:
        return None
