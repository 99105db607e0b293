"""PutFunctionCodeSigningConfig, GetFunctionCodeSigningConfig, DeleteFunctionCodeSigningConfig.

A configuration concerns packages that come after it: what a function has already is not checked again, as on AWS.
"""

from functools import partial

from sqlalchemy import Connection

from lambent.aws.errors import invalid_parameter
from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.functions import store
from lambent.functions.api.parts import Parts, existing, target, whole_function
from lambent.functions.changes import Change
from lambent.functions.records import CodeSigning, FunctionKey
from lambent.functions.signing import store as signing_store
from lambent.functions.signing.check import config_not_found
from lambent.functions.signing.configs import key_of


def operations(parts: Parts) -> Operations:
    return {
        "PutFunctionCodeSigningConfig": partial(put_function_code_signing_config, parts),
        "GetFunctionCodeSigningConfig": partial(get_function_code_signing_config, parts),
        "DeleteFunctionCodeSigningConfig": partial(delete_function_code_signing_config, parts),
    }


async def put_function_code_signing_config(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    arn = parameters["CodeSigningConfigArn"]
    # Seen at AWS: a missing configuration is told before a missing function.
    parts.signing.existing(arn, context.account, context.region)
    key = whole_function(target(context, parameters))
    function = existing(parts.read_model.get(key), key)
    if function.latest.image is not None:
        raise invalid_parameter("Code signing is not supported for functions created with container images.")

    def decide(connection: Connection) -> Change:
        existing(store.load(connection, key), key)
        return bind(connection, key, arn)

    await parts.changes.commit(decide)
    return {"CodeSigningConfigArn": arn, "FunctionName": key.name}


async def get_function_code_signing_config(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    key = whole_function(target(context, parameters))
    found = existing(parts.read_model.get(key), key).attached(CodeSigning)
    # Seen at AWS: without a configuration there is not even the name.
    return {} if found is None else {"CodeSigningConfigArn": found.config_arn, "FunctionName": key.name}


async def delete_function_code_signing_config(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    key = whole_function(target(context, parameters))
    existing(parts.read_model.get(key), key)

    def decide(connection: Connection) -> Change:
        existing(store.load(connection, key), key)
        store.remove_attachment(connection, key, CodeSigning)
        return Change(key=key, attached={(CodeSigning, ""): None})

    await parts.changes.commit(decide)
    return {}


def bind(connection: Connection, key: FunctionKey, config_arn: str) -> Change:
    """Attach a configuration that is still there; deleting one looks for what is bound, on the same thread."""
    if signing_store.load(connection, key_of(config_arn)) is None:
        raise config_not_found(config_arn)
    bound = CodeSigning(config_arn)
    store.put_attachment(connection, key, "", bound)
    return Change(key=key, attached={(CodeSigning, ""): bound})
