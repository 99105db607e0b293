"""PutRuntimeManagementConfig and GetRuntimeManagementConfig.

Here every function runs on the build of its runtime that this machine has: that is `Auto`, and it is the only true
answer. The other modes hold a function on an older build; there is none to hold it on, so they are refused by name.
Nothing is stored.
"""

from functools import partial

from lambent.aws.errors import invalid_parameter
from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.functions.api.parts import Parts, target
from lambent.functions.api.read import described
from lambent.functions.resolve import Target

_AUTO = "Auto"


def operations(parts: Parts) -> Operations:
    return {
        "PutRuntimeManagementConfig": partial(put_runtime_management_config, parts),
        "GetRuntimeManagementConfig": partial(get_runtime_management_config, parts),
    }


async def put_runtime_management_config(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    found = _found(parts, context, parameters)
    mode, build = parameters["UpdateRuntimeOn"], parameters.get("RuntimeVersionArn")
    if mode == "Manual" and build is None:
        raise invalid_parameter("RuntimeVersionArn is required when UpdateRuntimeOn is Manual.")
    if mode != "Manual" and build is not None:
        raise invalid_parameter(f"RuntimeVersionArn is only supported when UpdateRuntimeOn is Manual, not {mode}.")
    if mode != _AUTO:
        raise invalid_parameter(
            f"UpdateRuntimeOn {mode} is not supported by Lambent yet: functions run on the build of the runtime that"
            " this machine has."
        )
    return {"UpdateRuntimeOn": _AUTO, "FunctionArn": found.arn}


async def get_runtime_management_config(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    return {
        "UpdateRuntimeOn": _AUTO,
        "FunctionArn": _found(parts, context, parameters).arn,
    }


def _found(parts: Parts, context: CallContext, parameters: Parameters) -> Target:
    found = target(context, parameters)
    _, version = described(parts, found)
    if version.image is not None:
        raise invalid_parameter("Runtime management is not supported for functions with PackageType Image.")
    return found
