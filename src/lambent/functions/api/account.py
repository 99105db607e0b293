"""GetAccountSettings."""

from functools import partial

from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.functions.api.parts import Parts


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
            "UnreservedConcurrentExecutions": quotas.concurrent_executions
            - sum(parts.read_model.reserved(context.account, context.region).values()),
        },
        "AccountUsage": {
            "TotalCodeSize": sum(code.size_bytes for code in parts.read_model.code_of(context.account, context.region)),
            "FunctionCount": len(functions),
        },
    }
