"""Put, Update, Get, List and DeleteFunctionEventInvokeConfig: how events are retried, and where their results go.

A configuration belongs to a version or an alias; the function itself is `$LATEST`. `invocation` gives it its effect.
"""

import re
from dataclasses import replace
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection

from lambent.aws.arn import Arn
from lambent.aws.errors import invalid_parameter, not_found
from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.functions import store
from lambent.functions.api.parts import Parts, page, target
from lambent.functions.changes import Change
from lambent.functions.records import LATEST, Alias, EventInvokeConfig, Function, FunctionKey
from lambent.functions.resolve import Target, parse

_ANY_RESULT: Final = frozenset({"sqs", "sns", "events", "lambda"})
_FAILURES: Final = _ANY_RESULT | {"s3"}
_FUNCTION: Final = re.compile(r"function:[a-zA-Z0-9_-]+(:(\$LATEST|[a-zA-Z0-9_-]+))?")


def operations(parts: Parts) -> Operations:
    return {
        "PutFunctionEventInvokeConfig": partial(put_function_event_invoke_config, parts),
        "UpdateFunctionEventInvokeConfig": partial(update_function_event_invoke_config, parts),
        "GetFunctionEventInvokeConfig": partial(get_function_event_invoke_config, parts),
        "ListFunctionEventInvokeConfigs": partial(list_function_event_invoke_configs, parts),
        "DeleteFunctionEventInvokeConfig": partial(delete_function_event_invoke_config, parts),
    }


async def put_function_event_invoke_config(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    found = _target(context, parameters)
    _check(parts, found, parameters)
    config = EventInvokeConfig(last_modified=parts.clock.now(), **_sent(parameters))

    def decide(connection: Connection) -> Change:
        qualifier = _qualifier(found)
        published = store.load_version(connection, found.key, qualifier) is not None
        _refuse_absent(store.load(connection, found.key), qualifier, published)
        return _put(connection, found, config)

    await parts.changes.commit(decide)
    return _shape(found.key, found.qualifier, config)


async def update_function_event_invoke_config(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    found = _target(context, parameters)
    _check(parts, found, parameters)
    now = parts.clock.now()

    def decide(connection: Connection) -> Change:
        before = _config(store.load(connection, found.key), found)
        return _put(connection, found, replace(before, last_modified=now, **_sent(parameters)))

    change = await parts.changes.commit(decide)
    (config,) = change.attached.values()
    assert isinstance(config, EventInvokeConfig)
    return _shape(found.key, found.qualifier, config)


async def get_function_event_invoke_config(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    found = _target(context, parameters)
    return _shape(found.key, found.qualifier, _config(parts.read_model.get(found.key), found))


async def list_function_event_invoke_configs(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    key = target(context, parameters).key
    function = parts.read_model.get(key)
    if function is None:
        raise not_found("The function doesn't exist.")
    configs = list(function.all_attached(EventInvokeConfig).items())
    chosen, marker = page(configs, parameters, parts.quotas, lambda item: item[0])
    reply: dict[str, Any] = {
        "FunctionEventInvokeConfigs": [_shape(key, qualifier, config) for qualifier, config in chosen]
    }
    return reply if marker is None else reply | {"NextMarker": marker}


async def delete_function_event_invoke_config(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    found = _target(context, parameters)
    _config(parts.read_model.get(found.key), found)

    def decide(connection: Connection) -> Change:
        _config(store.load(connection, found.key), found)
        store.remove_attachment(connection, found.key, EventInvokeConfig, _qualifier(found))
        return Change(key=found.key, attached={(EventInvokeConfig, _qualifier(found)): None})

    await parts.changes.commit(decide)
    return {}


def _target(context: CallContext, parameters: Parameters) -> Target:
    found = target(context, parameters)
    return Target(found.key, found.qualifier or LATEST)


def _qualifier(found: Target) -> str:
    return found.qualifier or LATEST


def _check(parts: Parts, found: Target, parameters: Parameters) -> None:
    members = ("MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig")
    if all(parameters.get(member) is None for member in members):
        raise invalid_parameter("You must specify at least one of error handling or destination setting.")
    function = parts.read_model.get(found.key)
    _refuse_absent(function, _qualifier(found), function is not None and _qualifier(found) in function.published)
    success, failure = _destinations(parameters)
    known = [
        _is_known(parts, found.key, arn, services)
        for arn, services in ((failure, _FAILURES), (success, _ANY_RESULT))
        if arn
    ]
    if not all(known):
        raise invalid_parameter(
            f"The provided destination config DestinationConfig(onSuccess={_printed('OnSuccess', success)},"
            f" onFailure={_printed('OnFailure', failure)}) is invalid."
        )


def _is_known(parts: Parts, key: FunctionKey, destination: str, services: frozenset[str]) -> bool:
    """Whether results can go to such a service at all. Raises `ApiError` for an ARN that names nothing there."""
    invalid = invalid_parameter(f"The destination ARN {destination} is invalid.")
    try:
        arn = Arn.parse(destination)
    except ValueError:
        return False
    if arn.service not in services:
        return False
    if not _names_something(arn):
        raise invalid
    if arn.service == "lambda":
        target_key = FunctionKey(arn.account, arn.region, parse(destination).name)
        if target_key == key:
            raise invalid_parameter("You can't specify the function as a destination for itself.")
        # Functions of other accounts are nobody's business until they are invoked.
        if target_key.account == key.account and parts.read_model.get(target_key) is None:
            raise invalid
    return True


def _names_something(arn: Arn) -> bool:
    if arn.service == "s3":
        return bool(arn.resource)
    if not arn.region or not arn.account:
        return False
    match arn.service:
        case "events":
            return arn.resource.removeprefix("event-bus/") not in ("", arn.resource)
        case "lambda":
            return _FUNCTION.fullmatch(arn.resource) is not None
        case _:
            return bool(arn.resource) and not arn.resource.endswith(".fifo")


def _printed(member: str, destination: str | None) -> str:
    return f"{member}(destination={destination})" if destination else "null"


def _destinations(parameters: Parameters) -> tuple[str | None, str | None]:
    sent = parameters.get("DestinationConfig") or {}
    success = (sent.get("OnSuccess") or {}).get("Destination")
    failure = (sent.get("OnFailure") or {}).get("Destination")
    return success or None, failure or None


def _sent(parameters: Parameters) -> dict[str, Any]:
    """Fields of the record that the request gives; both destinations when it gives any."""
    sent = {
        "maximum_retry_attempts": parameters.get("MaximumRetryAttempts"),
        "maximum_event_age_s": parameters.get("MaximumEventAgeInSeconds"),
    }
    fields: dict[str, Any] = {name: value for name, value in sent.items() if value is not None}
    if parameters.get("DestinationConfig") is not None:
        fields["on_success"], fields["on_failure"] = _destinations(parameters)
    return fields


def _refuse_absent(function: Function | None, qualifier: str, published: bool) -> None:
    if function is None or not (qualifier == LATEST or published or function.attached(Alias, qualifier)):
        raise not_found("The function doesn't exist.")


def _config(function: Function | None, found: Target) -> EventInvokeConfig:
    config = None if function is None else function.attached(EventInvokeConfig, _qualifier(found))
    if config is None:
        raise not_found(f"The function {found.arn} doesn't have an EventInvokeConfig")
    return config


def _put(connection: Connection, found: Target, config: EventInvokeConfig) -> Change:
    store.put_attachment(connection, found.key, _qualifier(found), config)
    return Change(key=found.key, attached={(EventInvokeConfig, _qualifier(found)): config})


def _shape(key: FunctionKey, qualifier: str | None, config: EventInvokeConfig) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "LastModified": config.last_modified,
        "FunctionArn": f"{key.arn}:{qualifier}",
        "DestinationConfig": {
            "OnSuccess": {"Destination": config.on_success} if config.on_success else {},
            "OnFailure": {"Destination": config.on_failure} if config.on_failure else {},
        },
    }
    if config.maximum_retry_attempts is not None:
        shape["MaximumRetryAttempts"] = config.maximum_retry_attempts
    if config.maximum_event_age_s is not None:
        shape["MaximumEventAgeInSeconds"] = config.maximum_event_age_s
    return shape
