"""PutFunctionRecursionConfig and GetFunctionRecursionConfig: whether a function may be part of a recursive loop.

What stops a loop is the business of `invocation.recursion`. It belongs to the whole function, never to a version.
"""

from functools import partial
from typing import Final

from sqlalchemy import Connection

from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.functions import store
from lambent.functions.api.parts import Parts, existing, target, whole_function
from lambent.functions.changes import Change
from lambent.functions.records import RecursionConfig

_ALLOW: Final = "Allow"
_TERMINATE: Final = "Terminate"


def operations(parts: Parts) -> Operations:
    return {
        "PutFunctionRecursionConfig": partial(put_function_recursion_config, parts),
        "GetFunctionRecursionConfig": partial(get_function_recursion_config, parts),
    }


async def put_function_recursion_config(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    key = whole_function(target(context, parameters))
    config = RecursionConfig(allowed=parameters["RecursiveLoop"] == _ALLOW)

    def decide(connection: Connection) -> Change:
        existing(store.load(connection, key), key)
        store.put_attachment(connection, key, "", config)
        return Change(key=key, attached={(RecursionConfig, ""): config})

    await parts.changes.commit(decide)
    return _shape(config)


async def get_function_recursion_config(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    key = whole_function(target(context, parameters))
    return _shape(existing(parts.read_model.get(key), key).attached(RecursionConfig))


def _shape(config: RecursionConfig | None) -> Result:
    return {"RecursiveLoop": _ALLOW if config is not None and config.allowed else _TERMINATE}
