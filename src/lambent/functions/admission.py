"""The policies' say before every operation on a function: other accounts in, denied callers out.

Wraps the table of operations, so that no handler asks for itself: who is let in acts on the state of the owner. Its
texts and its list of operations are AWS's.
"""

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from lambent.aws.service import CallContext, Handler, Operations, Parameters, Result
from lambent.functions.authorize import Authorizer
from lambent.functions.resolve import Target, address, denied_without_reason
from lambent.functions.statements import ACTIONS

CROSS_ACCOUNT: Final = frozenset(action.removeprefix("lambda:") for action in ACTIONS)
"""Operations that a policy can open to other accounts."""

_RECOVERY: Final = frozenset({"PutResourcePolicy", "GetResourcePolicy", "DeleteResourcePolicy"})
"""What the root of an account can always do, so that a Deny for everybody can be taken back."""

_ARNS: Final = ("Resource", "ResourceArn")
"""Members that may hold the ARN of a function, or of something else."""


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
    """The function that the call names, in any form; None when it names none. `ApiError` when it cannot be read."""
    name, qualifier = parameters.get("FunctionName"), parameters.get("Qualifier")
    if name is None:
        name = next((arn for arn in map(parameters.get, _ARNS) if arn and ":function:" in str(arn)), None)
    if name is None:
        return None
    return address(context.account, context.region, str(name), None if qualifier is None else str(qualifier))
