"""Who may call a function URL: two questions to the authorizer.

Implements `invocation.ports.UrlAccess`. Since October 2025 a URL needs lambda:InvokeFunctionUrl and, as any call does,
lambda:InvokeFunction; policies tell calls through a URL by lambda:InvokedViaFunctionUrl.
"""

from lambent.aws.policy.principals import ANONYMOUS, Principal
from lambent.aws.service import Identity
from lambent.functions.authorize import Authorizer
from lambent.functions.records import FunctionKey
from lambent.functions.resolve import INVOKE, Target


class UrlPolicies:
    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    def may_call_url(self, key: FunctionKey, qualifier: str, auth_type: str, caller: Identity | None) -> bool:
        target = Target(key, qualifier or None)
        principal = ANONYMOUS if caller is None else Principal.of_arn(caller.arn)
        context = {"lambda:FunctionUrlAuthType": auth_type, "lambda:InvokedViaFunctionUrl": "true"}
        return all(
            self._authorizer.may_invoke(target, principal, context, action=action)
            for action in ("lambda:InvokeFunctionUrl", INVOKE)
        )
