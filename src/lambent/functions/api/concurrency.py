"""PutFunctionConcurrency, GetFunctionConcurrency, DeleteFunctionConcurrency: the reserved concurrency of a function.

What it limits is the business of `invocation.concurrency`. It belongs to the whole function, never to a version.
"""

from functools import partial

from sqlalchemy import Connection

from lambent.aws.errors import invalid_parameter, not_found, without_type
from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.functions import store
from lambent.functions.api.parts import Parts, existing, target, whole_function
from lambent.functions.changes import Change
from lambent.functions.records import LATEST, Function, FunctionKey, ProvisionedConcurrency, ReservedConcurrency


def operations(parts: Parts) -> Operations:
    return {
        "PutFunctionConcurrency": partial(put_function_concurrency, parts),
        "GetFunctionConcurrency": partial(get_function_concurrency, parts),
        "DeleteFunctionConcurrency": partial(delete_function_concurrency, parts),
    }


async def put_function_concurrency(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    key = whole_function(target(context, parameters))
    if parts.read_model.get(key) is None:
        # Seen at AWS: only here does the unqualified function have a qualifier.
        raise not_found(f"Function not found: {key.arn}:{LATEST}")
    executions: int = parameters["ReservedConcurrentExecutions"]

    def decide(connection: Connection) -> Change:
        function = existing(store.load(connection, key), key)
        _check_provisioned(function, executions)
        _check_floor(parts, connection, key, executions)
        reserved = ReservedConcurrency(executions)
        store.put_attachment(connection, key, "", reserved)
        return Change(key=key, attached={(ReservedConcurrency, ""): reserved})

    await parts.changes.commit(decide)
    return {"ReservedConcurrentExecutions": executions}


async def get_function_concurrency(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    key = whole_function(target(context, parameters))
    function = existing(parts.read_model.get(key), key)
    reserved = function.attached(ReservedConcurrency)
    return {} if reserved is None else {"ReservedConcurrentExecutions": reserved.executions}


async def delete_function_concurrency(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    key = whole_function(target(context, parameters))
    existing(parts.read_model.get(key), key)

    def decide(connection: Connection) -> Change:
        existing(store.load(connection, key), key)
        store.remove_attachment(connection, key, ReservedConcurrency)
        return Change(key=key, attached={(ReservedConcurrency, ""): None})

    await parts.changes.commit(decide)
    return {}


def _check_provisioned(function: Function, executions: int) -> None:
    """The blanks are AWS's."""
    provisioned = sum(config.executions for config in function.all_attached(ProvisionedConcurrency).values())
    if executions < provisioned:
        raise invalid_parameter(
            f" ReservedConcurrentExecutions  {executions} should not be lower than function's total provisioned"
            f" concurrency [{provisioned}]."
        )


def _check_floor(parts: Parts, connection: Connection, key: FunctionKey, executions: int) -> None:
    """Reservations may not take the last of the pool that all other functions share."""
    floor = parts.quotas.min_unreserved_executions
    others = store.taken_by_others(connection, key)
    # Giving concurrency back is always possible, also when the account's limit was lowered since.
    if executions and parts.quotas.concurrent_executions - others - executions < floor:
        raise without_type(
            invalid_parameter(
                "Specified ReservedConcurrentExecutions for function decreases account's"
                f" UnreservedConcurrentExecution below its minimum value of [{floor}]."
            )
        )
