"""Create, Get, List, Update and DeleteFunctionUrlConfig.

A URL belongs to the function (attached without a qualifier) or to one alias, and stays when the alias is deleted.
`invocation.function_url` answers its requests.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection

from lambent.aws.errors import ApiError, conflict, invalid_parameter, not_found
from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.core.ids import lower32
from lambent.functions import store
from lambent.functions.api.parts import Parts, page, target
from lambent.functions.api.validation import refuse_for_tenants
from lambent.functions.changes import Change
from lambent.functions.records import Alias, Cors, Function, UrlConfig
from lambent.functions.resolve import Target
from lambent.functions.url_address import function_url

METHODS: Final = ("*", "GET", "PUT", "HEAD", "POST", "PATCH", "DELETE")
"""What AllowMethods may name; OPTIONS is always answered."""


def operations(parts: Parts) -> Operations:
    return {
        "CreateFunctionUrlConfig": partial(create_function_url_config, parts),
        "GetFunctionUrlConfig": partial(get_function_url_config, parts),
        "ListFunctionUrlConfigs": partial(list_function_url_configs, parts),
        "UpdateFunctionUrlConfig": partial(update_function_url_config, parts),
        "DeleteFunctionUrlConfig": partial(delete_function_url_config, parts),
    }


async def create_function_url_config(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    found = target(context, parameters)
    refuse_for_tenants(_function(parts, found).latest, "A function URL")
    cors = _cors(parameters.get("Cors"))
    now = parts.clock.now()
    config = UrlConfig(
        url_id=lower32(),
        auth_type=parameters["AuthType"],
        created=now,
        last_modified=now,
        invoke_mode=parameters.get("InvokeMode") or "BUFFERED",
        cors=cors,
    )

    def decide(connection: Connection) -> Change:
        function = store.load(connection, found.key)
        if function is None:
            raise not_found("Function does not exist")
        if function.attached(UrlConfig, found.qualifier or "") is not None:
            raise conflict(
                f"Failed to create function url config for [functionArn = {found.arn}]."
                " Error message:  FunctionUrlConfig exists for this Lambda function"
            )
        if found.qualifier is not None and function.attached(Alias, found.qualifier) is None:
            raise not_found("Function does not exist")
        return _put(connection, found, config)

    await parts.changes.commit(decide)
    reply = _shape(context, found, config)
    del reply["LastModifiedTime"]
    return _as_asked(reply, parameters)


async def get_function_url_config(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    found = target(context, parameters)
    return _shape(context, found, _existing(parts.read_model.get(found.key), found))


async def list_function_url_configs(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    found = target(context, parameters)
    configs = list(_function(parts, found).all_attached(UrlConfig).items())
    # An empty key would make an empty marker, which means the first page.
    chosen, marker = page(configs, parameters, parts.quotas, lambda item: f":{item[0]}")
    reply: dict[str, Any] = {
        "FunctionUrlConfigs": [
            _shape(context, Target(found.key, qualifier or None), config) for qualifier, config in chosen
        ]
    }
    return reply if marker is None else reply | {"NextMarker": marker}


async def update_function_url_config(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    found = target(context, parameters)
    function = _function(parts, found)
    if found.qualifier is not None and function.attached(Alias, found.qualifier) is None:
        raise not_found("Function does not exist")
    cors = _cors(parameters.get("Cors"))
    now = parts.clock.now()

    def decide(connection: Connection) -> Change:
        before = _existing(store.load(connection, found.key), found)
        after = UrlConfig(
            url_id=before.url_id,
            auth_type=parameters.get("AuthType") or before.auth_type,
            created=before.created,
            last_modified=now,
            invoke_mode=parameters.get("InvokeMode") or before.invoke_mode,
            cors=before.cors if parameters.get("Cors") is None else cors,
        )
        return _put(connection, found, after)

    change = await parts.changes.commit(decide)
    (config,) = change.attached.values()
    assert isinstance(config, UrlConfig)
    return _as_asked(_shape(context, found, config), parameters)


async def delete_function_url_config(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    found = target(context, parameters)
    _existing(parts.read_model.get(found.key), found)

    def decide(connection: Connection) -> Change:
        qualifier = found.qualifier or ""
        if not store.remove_attachment(connection, found.key, UrlConfig, qualifier):
            raise _no_config()
        return Change(key=found.key, attached={(UrlConfig, qualifier): None})

    await parts.changes.commit(decide)
    return {}


def _function(parts: Parts, found: Target) -> Function:
    function = parts.read_model.get(found.key)
    if function is None:
        raise not_found("Function does not exist")
    return function


def _existing(function: Function | None, found: Target) -> UrlConfig:
    config = None if function is None else function.attached(UrlConfig, found.qualifier or "")
    if config is None:
        raise _no_config()
    return config


def _no_config() -> ApiError:
    return not_found("The resource you requested does not exist.")


def _put(connection: Connection, found: Target, config: UrlConfig) -> Change:
    qualifier = found.qualifier or ""
    store.put_attachment(connection, found.key, qualifier, config)
    return Change(key=found.key, attached={(UrlConfig, qualifier): config})


def _cors(given: Mapping[str, Any] | None) -> Cors | None:
    """None also for an empty one: that is how clients take CORS away."""
    if not given or not any(value is not None for value in given.values()):
        return None
    for method in given.get("AllowMethods") or ():
        if method not in METHODS:
            raise invalid_parameter(f"Invalid method {method} in AllowMethods. Valid values are {', '.join(METHODS)}.")
    lists = {name: None if given.get(name) is None else tuple(given[name]) for name in _LISTS}
    return Cors(
        allow_credentials=given.get("AllowCredentials"),
        allow_headers=lists["AllowHeaders"],
        allow_methods=lists["AllowMethods"],
        allow_origins=lists["AllowOrigins"],
        expose_headers=lists["ExposeHeaders"],
        max_age_s=given.get("MaxAge"),
    )


_LISTS: Final = ("AllowHeaders", "AllowMethods", "AllowOrigins", "ExposeHeaders")


def _shape(context: CallContext, found: Target, config: UrlConfig) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "FunctionUrl": function_url(context.base_url, config.url_id, found.key.region),
        "FunctionArn": found.arn,
        "AuthType": config.auth_type,
        "CreationTime": _time(config.created),
        "LastModifiedTime": _time(config.last_modified),
        "InvokeMode": config.invoke_mode,
    }
    if config.cors is not None:
        shape["Cors"] = _cors_shape(config.cors)
    return shape


def _cors_shape(cors: Cors) -> dict[str, Any]:
    members: dict[str, Any] = {
        "AllowCredentials": cors.allow_credentials,
        "AllowHeaders": cors.allow_headers,
        "AllowMethods": cors.allow_methods,
        "AllowOrigins": cors.allow_origins,
        "ExposeHeaders": cors.expose_headers,
        "MaxAge": cors.max_age_s,
    }
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in members.items() if value is not None
    }


def _as_asked(reply: dict[str, Any], parameters: Parameters) -> dict[str, Any]:
    """Create and update tell InvokeMode only to those who sent it."""
    if parameters.get("InvokeMode") is None:
        del reply["InvokeMode"]
    return reply


def _time(moment: datetime) -> str:
    """For example 2026-11-20T20:04:39.123456Z."""
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"
