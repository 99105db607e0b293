"""From records to the shapes of the Lambda API."""

import base64
from datetime import datetime
from typing import Any

from lambent.functions.ports import SnapshotTaker, Taken
from lambent.functions.records import LATEST, CodePackage, FunctionVersion, ImageConfig, LoggingConfig
from lambent.functions.signing.records import Signed


def configuration(
    version: FunctionVersion, snapshots: SnapshotTaker, *, arn: str | None = None, listed: bool = False
) -> dict[str, Any]:
    """FunctionConfiguration. `arn`: as the caller asked; `listed`: lists leave out state and runtime version."""
    shape: dict[str, Any] = {
        "FunctionName": version.name,
        "FunctionArn": arn or version.function_arn,
        "Role": version.role,
        "CodeSize": version.code.size_bytes,
        "Description": version.description,
        "Timeout": version.timeout_s,
        "MemorySize": version.memory_mb,
        "LastModified": timestamp(version.last_modified),
        "Version": version.version,
        "TracingConfig": {"Mode": version.tracing_mode},
        "RevisionId": version.revision_id,
        "PackageType": "Zip" if version.image is None else "Image",
        "Architectures": [version.architecture],
        "EphemeralStorage": {"Size": version.ephemeral_storage_mb},
        "SnapStart": _snap_start(version, snapshots),
        "LoggingConfig": _logging(version.logging),
    }
    if version.image is None:
        shape |= {"Runtime": version.runtime, "Handler": version.handler}
    elif version.image.config is not None:
        shape["ImageConfigResponse"] = {"ImageConfig": _image_config(version.image.config)}
    if digest := code_sha256(version):
        shape["CodeSha256"] = digest
    if version.variables is not None:
        shape["Environment"] = {"Variables": dict(version.variables)}
    if version.dead_letter_arn is not None:
        shape["DeadLetterConfig"] = {"TargetArn": version.dead_letter_arn}
    if version.vpc is not None:
        shape["VpcConfig"] = {
            "SubnetIds": [each.id for each in version.vpc.subnets],
            "SecurityGroupIds": [each.id for each in version.vpc.groups],
            "VpcId": version.vpc.id,
            "Ipv6AllowedForDualStack": False,
        }
    elif version.left_network:
        shape["VpcConfig"] = {"SubnetIds": [], "SecurityGroupIds": [], "VpcId": "", "Ipv6AllowedForDualStack": False}
    if version.layers:
        shape["Layers"] = [
            {"Arn": layer.arn, "CodeSize": layer.code.size_bytes} | signing(layer.signed) for layer in version.layers
        ]
    if version.kms_key_arn is not None:
        shape["KMSKeyArn"] = version.kms_key_arn
    if version.tenant_isolation:
        shape["TenancyConfig"] = {"TenantIsolationMode": "PER_TENANT"}
    if version.signing_profile_version_arn is not None:
        shape["SigningProfileVersionArn"] = version.signing_profile_version_arn
        shape["SigningJobArn"] = version.signing_job_arn
    if not listed:
        shape |= _state(version)
        if version.runtime_version_arn is not None:
            shape["RuntimeVersionConfig"] = {"RuntimeVersionArn": version.runtime_version_arn}
    return shape


def _snap_start(version: FunctionVersion, snapshots: SnapshotTaker) -> dict[str, str]:
    outcome = snapshots.status(version.deployment_id) if version.has_snapshot else None
    return {
        "ApplyOn": "PublishedVersions" if version.snap_start else "None",
        "OptimizationStatus": "On" if outcome is not None and outcome.taken is Taken.YES else "Off",
    }


def signing(signed: Signed | None) -> dict[str, Any]:
    """The members that tell by whom a package is signed."""
    if signed is None:
        return {}
    return {"SigningProfileVersionArn": signed.profile_version_arn, "SigningJobArn": signed.job_arn}


def code_location(version: FunctionVersion, url: str) -> dict[str, Any]:
    """FunctionCodeLocation; `url` is where the archive of a package is, and means nothing for an image."""
    if version.image is None:
        return {"RepositoryType": "S3", "Location": url}
    shape = {"RepositoryType": "ECR", "ImageUri": version.image.uri}
    return shape if version.image.digest is None else shape | {"ResolvedImageUri": version.image.uri}


def _logging(config: LoggingConfig) -> dict[str, str]:
    levels = {"ApplicationLogLevel": config.application_level, "SystemLogLevel": config.system_level}
    sent = {name: level for name, level in levels.items() if level is not None}
    return {"LogFormat": config.format} | sent | {"LogGroup": config.group}


def _image_config(config: ImageConfig) -> dict[str, Any]:
    members = {
        "EntryPoint": config.entry_point and list(config.entry_point),
        "Command": config.command and list(config.command),
        "WorkingDirectory": config.working_directory,
    }
    return {name: value for name, value in members.items() if value is not None}


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
    """Empty for an image whose digest nobody knows."""
    if version.image is not None:
        return version.image.digest or ""
    return package_sha256(version.code)


def package_sha256(code: CodePackage) -> str:
    return base64.b64encode(bytes.fromhex(code.sha256)).decode()


def version_arn(version: FunctionVersion, *, always_qualified: bool) -> str:
    """A list names `$LATEST` without a qualifier unless it lists versions."""
    return version.qualified_arn if always_qualified or version.version != LATEST else version.function_arn
