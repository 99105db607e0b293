"""From records to the shapes of the Lambda API."""

import base64
from datetime import datetime
from typing import Any

from lambent.functions.records import LATEST, FunctionVersion


def configuration(version: FunctionVersion, *, arn: str | None = None, listed: bool = False) -> dict[str, Any]:
    """FunctionConfiguration. `arn`: as the caller asked; `listed`: lists leave out state and runtime version."""
    shape: dict[str, Any] = {
        "FunctionName": version.name,
        "FunctionArn": arn or version.function_arn,
        "Runtime": version.runtime,
        "Role": version.role,
        "Handler": version.handler,
        "CodeSize": version.code.size_bytes,
        "Description": version.description,
        "Timeout": version.timeout_s,
        "MemorySize": version.memory_mb,
        "LastModified": timestamp(version.last_modified),
        "CodeSha256": code_sha256(version),
        "Version": version.version,
        "TracingConfig": {"Mode": version.tracing_mode},
        "RevisionId": version.revision_id,
        "PackageType": "Zip",
        "Architectures": [version.architecture],
        "EphemeralStorage": {"Size": version.ephemeral_storage_mb},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "LoggingConfig": {"LogFormat": version.logging.format, "LogGroup": version.logging.group},
    }
    if version.variables is not None:
        shape["Environment"] = {"Variables": dict(version.variables)}
    if version.kms_key_arn is not None:
        shape["KMSKeyArn"] = version.kms_key_arn
    if not listed:
        shape |= _state(version)
        if version.runtime_version_arn is not None:
            shape["RuntimeVersionConfig"] = {"RuntimeVersionArn": version.runtime_version_arn}
    return shape


def _state(version: FunctionVersion) -> dict[str, Any]:
    members = {
        "State": version.state.value,
        "StateReason": version.state_reason,
        "StateReasonCode": version.state_reason_code,
        "LastUpdateStatus": version.last_update_status and version.last_update_status.value,
        "LastUpdateStatusReason": version.last_update_reason,
        "LastUpdateStatusReasonCode": version.last_update_reason_code,
    }
    return {name: value for name, value in members.items() if value is not None}


def timestamp(moment: datetime) -> str:
    """For example 2026-11-20T20:04:39.123+0000."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}+0000"


def code_sha256(version: FunctionVersion) -> str:
    return base64.b64encode(bytes.fromhex(version.code.sha256)).decode()


def version_arn(version: FunctionVersion, *, always_qualified: bool) -> str:
    """A list names `$LATEST` without a qualifier unless it lists versions."""
    return version.qualified_arn if always_qualified or version.version != LATEST else version.function_arn
