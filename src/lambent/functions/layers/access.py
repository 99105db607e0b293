"""Which layer a caller means, and whether another account's layer version lets itself be used.

A caller of the layer's own account may do everything; all others what the policy of the version allows, which can
only be GetLayerVersion. A version that is not there looks to others like one that they may not use.
"""

from typing import Final

from lambent.aws.errors import invalid_parameter
from lambent.aws.policy.decision import Decision, Request, decide
from lambent.aws.policy.documents import parse
from lambent.aws.policy.principals import Principal
from lambent.aws.service import CallContext
from lambent.functions.layers.catalog import Layers
from lambent.functions.layers.records import LayerKey, LayerVersion, parse_arn
from lambent.functions.resolve import denied

GET: Final = "lambda:GetLayerVersion"


def located(context: CallContext, operation: str, name: str, number: int | None = None) -> LayerKey:
    """The layer of a LayerName, which may be an ARN. Other accounts' layers can only be got."""
    parsed = parse_arn(name)
    key = LayerKey(context.account, context.region, name) if parsed is None else parsed[0]
    if key.region != context.region:
        raise invalid_parameter(f"Layers from '{key.region}' are not reachable in this region ('{context.region}')")
    if number is not None:
        check_number(number)
    if key.account != context.account and operation != "GetLayerVersion":
        arn = key.arn if number is None else key.version_arn(number)
        raise denied(arn, f"lambda:{operation}", context.identity.arn)
    return key


def check_number(number: int) -> None:
    if number < 1:
        raise invalid_parameter("Layer Version Cannot be less than 1")


def usable(layers: Layers, context: CallContext, key: LayerKey, number: int) -> LayerVersion | None:
    """The version when there is one; `ApiError` AccessDenied for an account that may not use it."""
    found = layers.get(key, number)
    if key.account != context.account and not (found is not None and _allows(found, context)):
        raise denied(key.version_arn(number), GET, context.identity.arn)
    return found


def _allows(version: LayerVersion, context: CallContext) -> bool:
    if version.policy is None:
        return False
    principal = Principal.of_arn(context.identity.arn)
    request = Request(principal, GET, version.arn, {"aws:PrincipalAccount": context.account})
    return decide([parse(version.policy)], request) is Decision.ALLOWED
