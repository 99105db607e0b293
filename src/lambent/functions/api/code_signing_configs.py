"""Code signing configurations: create, get, list, update, delete, and the functions that have one.

What a configuration does to a package is the business of `functions.signing`.
"""

import secrets
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy import Connection

from lambent.aws.errors import ApiError, conflict
from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.functions import store as functions_store
from lambent.functions.api.parts import Parts, page
from lambent.functions.api.shapes import timestamp
from lambent.functions.api.validation import check_tags
from lambent.functions.ports import Tags
from lambent.functions.records import CodeSigning
from lambent.functions.signing import store
from lambent.functions.signing.configs import SigningConfigs
from lambent.functions.signing.records import ConfigKey, Policy, SigningConfig


def operations(parts: Parts) -> Operations:
    return {
        "CreateCodeSigningConfig": partial(create_code_signing_config, parts),
        "GetCodeSigningConfig": partial(get_code_signing_config, parts),
        "ListCodeSigningConfigs": partial(list_code_signing_configs, parts),
        "UpdateCodeSigningConfig": partial(update_code_signing_config, parts),
        "DeleteCodeSigningConfig": partial(delete_code_signing_config, parts),
        "ListFunctionsByCodeSigningConfig": partial(list_functions_by_code_signing_config, parts),
    }


async def create_code_signing_config(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    tags = parameters.get("Tags") or {}
    check_tags(tags, parts.quotas)
    config = SigningConfig(
        account=context.account,
        region=context.region,
        # As AWS's ids look: the model's pattern is wider.
        config_id=f"csc-0{secrets.token_hex(8)}",
        publishers=_publishers(parameters["AllowedPublishers"]),
        last_modified=parts.clock.now(),
        policy=_policy(parameters) or Policy.WARN,
        description=parameters.get("Description") or "",
        tags=tags,
    )
    await parts.signing.configs.put(lambda _connection: config)
    return {"CodeSigningConfig": _shape(config)}


async def get_code_signing_config(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    return {"CodeSigningConfig": _shape(_existing(parts, context, parameters["CodeSigningConfigArn"]))}


async def list_code_signing_configs(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    found = parts.signing.configs.region(context.account, context.region)
    shown, marker = page(found, parameters, parts.quotas, lambda config: config.config_id)
    return {"CodeSigningConfigs": [_shape(config) for config in shown], "NextMarker": marker}


async def update_code_signing_config(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    key = _existing(parts, context, parameters["CodeSigningConfigArn"]).key
    now = parts.clock.now()

    def decide(connection: Connection) -> SigningConfig:
        config = _stored(connection, key)
        changes: dict[str, Any] = {
            "description": parameters.get("Description"),
            "publishers": _publishers(parameters["AllowedPublishers"]) if parameters.get("AllowedPublishers") else None,
            "policy": _policy(parameters),
        }
        sent = {name: value for name, value in changes.items() if value is not None}
        return replace(config, **sent, last_modified=now)

    return {"CodeSigningConfig": _shape(await parts.signing.configs.put(decide))}


async def delete_code_signing_config(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    key = _existing(parts, context, parameters["CodeSigningConfigArn"]).key

    def check(connection: Connection) -> None:
        _stored(connection, key)
        if functions_store.signed_by(connection, key.account, key.region, key.arn):
            raise conflict(
                f"Cannot delete the code signing configuration {key.arn}: it is in use by one or more functions."
            )

    await parts.signing.configs.remove(key, check)
    return {}


async def list_functions_by_code_signing_config(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    arn = _existing(parts, context, parameters["CodeSigningConfigArn"]).arn
    functions = parts.read_model.region(context.account, context.region)
    bound = [each.latest for each in functions if each.attached(CodeSigning) == CodeSigning(arn)]
    shown, marker = page(bound, parameters, parts.quotas, lambda version: version.name)
    return {"FunctionArns": [version.function_arn for version in shown], "NextMarker": marker}


class SigningConfigTags:
    """`functions.ports.Taggable` for `code-signing-config` in an ARN."""

    def __init__(self, configs: SigningConfigs) -> None:
        self._configs = configs

    def tags(self, context: CallContext, arn: str) -> Tags:
        return self._existing(context, arn).tags

    async def change_tags(self, context: CallContext, arn: str, decide: Callable[[Tags], Tags]) -> None:
        key = self._existing(context, arn).key

        def commit(connection: Connection) -> SigningConfig:
            config = _stored(connection, key)
            return replace(config, tags=decide(config.tags))

        await self._configs.put(commit)

    def _existing(self, context: CallContext, arn: str) -> SigningConfig:
        return _own(self._configs, context, arn)


def _existing(parts: Parts, context: CallContext, arn: str) -> SigningConfig:
    return _own(parts.signing.configs, context, arn)


def _own(configs: SigningConfigs, context: CallContext, arn: str) -> SigningConfig:
    config = configs.get(arn)
    if config is None or (config.account, config.region) != (context.account, context.region):
        raise _not_found(arn)
    return config


def _stored(connection: Connection, key: ConfigKey) -> SigningConfig:
    config = store.load(connection, key)
    if config is None:
        raise _not_found(key.arn)
    return config


def _not_found(arn: str) -> ApiError:
    text = f"The Lambda code signing configuration {arn} can not be found."
    return ApiError("ResourceNotFoundException", text, members={"Type": None})


def _publishers(sent: Parameters) -> tuple[str, ...]:
    return tuple(dict.fromkeys(sent["SigningProfileVersionArns"]))


def _policy(parameters: Parameters) -> Policy | None:
    sent = (parameters.get("CodeSigningPolicies") or {}).get("UntrustedArtifactOnDeployment")
    return None if sent is None else Policy(sent)


def _shape(config: SigningConfig) -> dict[str, Any]:
    return {
        "CodeSigningConfigId": config.config_id,
        "CodeSigningConfigArn": config.arn,
        "Description": config.description,
        "AllowedPublishers": {"SigningProfileVersionArns": list(config.publishers)},
        "CodeSigningPolicies": {"UntrustedArtifactOnDeployment": config.policy.value},
        "LastModified": timestamp(config.last_modified),
    }
