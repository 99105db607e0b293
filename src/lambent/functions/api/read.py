"""GetFunction, GetFunctionConfiguration, ListFunctions. All from memory."""

from functools import partial
from typing import Any

from lambent.aws.errors import not_found
from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.functions.api.parts import Parts, page, target
from lambent.functions.api.shapes import code_location, configuration, version_arn
from lambent.functions.records import Function, FunctionVersion, ReservedConcurrency
from lambent.functions.resolve import Target


def operations(parts: Parts) -> Operations:
    return {
        "GetFunction": partial(get_function, parts),
        "GetFunctionConfiguration": partial(get_function_configuration, parts),
        "ListFunctions": partial(list_functions, parts),
    }


async def get_function(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    found = target(context, parameters)
    function, version = described(parts, found)
    reply: dict[str, Any] = {
        "Configuration": configuration(version, parts.snapshots, arn=found.arn),
        "Code": code_location(
            version, parts.urls.sign(context.base_url, (*version.key, version.version), version.code.sha256)
        ),
    }
    if (reserved := function.attached(ReservedConcurrency)) is not None:
        reply["Concurrency"] = {"ReservedConcurrentExecutions": reserved.executions}
    if function.tags:
        reply["Tags"] = dict(function.tags)
    return reply


async def get_function_configuration(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    found = target(context, parameters)
    _, version = described(parts, found)
    return configuration(version, parts.snapshots, arn=found.arn)


async def list_functions(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    if parameters.get("MasterRegion"):
        # Only replicas of Lambda@Edge functions have a master, and there are none.
        return {"Functions": []}
    every_version = parameters.get("FunctionVersion") == "ALL"
    versions: list[FunctionVersion] = []
    for function in parts.read_model.region(context.account, context.region):
        versions.append(function.latest)
        if every_version:
            versions.extend(function.published.values())
    chosen, marker = page(versions, parameters, parts.quotas, list_key)
    reply: dict[str, Any] = {
        "Functions": [
            configuration(
                version, parts.snapshots, arn=version_arn(version, always_qualified=every_version), listed=True
            )
            for version in chosen
        ]
    }
    return reply if marker is None else reply | {"NextMarker": marker}


def list_key(version: FunctionVersion) -> str:
    """Sorts by name, then `$LATEST`, then numbers in their order."""
    number = "" if not version.version.isdigit() else version.version.zfill(12)
    return f"{version.name}:{number}"


def described(parts: Parts, found: Target) -> tuple[Function, FunctionVersion]:
    function = parts.read_model.get(found.key)
    version = None if function is None else function.version(found.qualifier)
    if function is None or version is None:
        raise not_found(f"Function not found: {found.arn}")
    return function, version
