"""Versions and attachments as the JSON documents of their rows. Environment variables are sealed on the way in."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import msgspec
from sqlalchemy import Connection

from lambent.functions.records import (
    Alias,
    Attachment,
    CodeSigning,
    EventInvokeConfig,
    FunctionVersion,
    Policy,
    ProvisionedConcurrency,
    RecursionConfig,
    ReservedConcurrency,
    UrlConfig,
)
from lambent.store.vault import vault_of

KINDS: Final[Mapping[str, type[Attachment]]] = {
    "alias": Alias,
    "policy": Policy,
    "reserved-concurrency": ReservedConcurrency,
    "code-signing": CodeSigning,
    "event-invoke": EventInvokeConfig,
    "url": UrlConfig,
    "provisioned-concurrency": ProvisionedConcurrency,
    "recursion": RecursionConfig,
}
_ATTACHMENTS: Final = {kind: msgspec.json.Decoder(record) for kind, record in KINDS.items()}
_VERSION: Final = msgspec.json.Decoder(FunctionVersion)
_VARIABLES: Final = msgspec.json.Decoder(dict[str, str])


class _Sealed(msgspec.Struct):
    sealed_variables: str | None = None


_SEALED: Final = "sealed_variables"
_SEALED_ONLY: Final = msgspec.json.Decoder(_Sealed)


def encode(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def encode_version(connection: Connection, version: FunctionVersion) -> str:
    if not version.variables:
        return encode(version)
    document = msgspec.to_builtins(replace(version, variables=None))
    secret = msgspec.json.encode(version.variables)
    document[_SEALED] = vault_of(connection).seal(secret, version.qualified_arn)
    return encode(document)


def decode_version(connection: Connection, text: str) -> FunctionVersion:
    version = _VERSION.decode(text)
    if version.variables is not None:
        # None, or written before variables were sealed.
        return version
    sealed = _SEALED_ONLY.decode(text).sealed_variables
    if sealed is None:
        return version
    secret = vault_of(connection).open(sealed, version.qualified_arn)
    return replace(version, variables=_VARIABLES.decode(secret))


def decode_attachment(kind: str, text: str) -> Attachment:
    return _ATTACHMENTS[kind].decode(text)
