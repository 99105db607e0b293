"""GetAccountSettings."""

from functools import partial

from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.functions.api.parts import Parts, stored_bytes


def operations(parts: Parts) -> Operations:
    return {"GetAccountSettings": partial(get_account_settings, parts)}


async def get_account_settings(parts: Parts, context: CallContext, _parameters: Parameters) -> Result:
    quotas = parts.quotas
    functions = parts.read_model.region(context.account, context.region)
    return {
        "AccountLimit": {
            "TotalCodeSize": quotas.max_code_storage_bytes,
            "CodeSizeUnzipped": quotas.max_unzipped_bytes,
            "CodeSizeZipped": quotas.max_zipped_bytes,
            "ConcurrentExecutions": quotas.concurrent_executions,
            "UnreservedConcurrentExecutions": quotas.concurrent_executions - _taken(parts, context),
        },
        "AccountUsage": {
            "TotalCodeSize": stored_bytes(parts, context.account, context.region),
            "FunctionCount": len(functions),
        },
    }


def _taken(parts: Parts, context: CallContext) -> int:
    """Reserved, or provisioned for functions without a reservation."""
    reserved = parts.read_model.reserved(context.account, context.region)
    provisioned = parts.read_model.provisioned(context.account, context.region)
    unreserved = (sum(shares.values()) for name, shares in provisioned.items() if name not in reserved)
    return sum(reserved.values()) + sum(unreserved)
