"""Rules of the create and update requests that the model does not have, with AWS's texts."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from lambent.aws.arn import Arn
from lambent.aws.errors import ApiError, invalid_parameter
from lambent.aws.service import Parameters
from lambent.functions.quotas import Quotas
from lambent.functions.records import FunctionVersion, LoggingConfig

RESERVED_VARIABLES: Final = frozenset(
    {
        *("_HANDLER", "_X_AMZN_TRACE_ID", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_EXECUTION_ENV"),
        *("AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE"),
        *("AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME"),
        *("AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
        *("AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR", "AWS_LAMBDA_MAX_CONCURRENCY"),
        *("AWS_LAMBDA_METADATA_API", "AWS_LAMBDA_METADATA_TOKEN"),
    }
)
"""Reserved: "Defined runtime environment variables" of AWS's guide."""

SNAP_START_RUNTIMES: Final = frozenset(
    {
        *("java11", "java17", "java21", "java25", "java11.al2023", "java17.al2023"),
        *("python3.12", "python3.13", "python3.14", "python3.15", "dotnet8", "dotnet10"),
    }
)
"""Those that AWS has snapshots for."""
SNAP_START_STORAGE_MB: Final = 512

_UNABLE: Final = (
    "Lambda was unable to configure your environment variables because the environment variables you have provided"
)
_LEVEL_NEEDS_JSON: Final = (
    'LogLevel is not supported when LogFormat is set to "Text". Remove LogLevel from your request or change the'
    ' LogFormat to "JSON" and try again.'
)


def check_settings(
    parameters: Parameters, quotas: Quotas, *, runtime: str | None, logging: LoggingConfig | None = None
) -> None:
    """Rules of single members, ranges first: the model has them wider, for kinds of functions that are not here.

    `runtime`: what the function has or will have; None or empty for an image. `logging`: what it has had so far.
    """
    _check_range("Timeout", parameters.get("Timeout"), quotas.min_timeout_s, quotas.max_timeout_s)
    _check_range("MemorySize", parameters.get("MemorySize"), quotas.min_memory_mb, quotas.max_memory_mb)
    storage = (parameters.get("EphemeralStorage") or {}).get("Size")
    _check_range("EphemeralStorage", storage, quotas.min_ephemeral_storage_mb, quotas.max_ephemeral_storage_mb)
    if "\0" in (parameters.get("Handler") or ""):
        raise invalid_parameter("Handler contains a null character.")
    if (variables := variables_of(parameters)) is not None:
        check_variables(variables, quotas)
    check_levels(parameters, logging)
    check_dead_letter(parameters)


def check_dead_letter(parameters: Parameters) -> None:
    """The words are ours: those of AWS are not known."""
    target_arn = dead_letter_of(parameters)
    if not target_arn:
        return
    try:
        arn = Arn.parse(target_arn)
    except ValueError:
        arn = None
    if arn is None or arn.service not in ("sqs", "sns") or not arn.resource or arn.resource.endswith(".fifo"):
        raise invalid_parameter(
            f"The target ARN {target_arn} of DeadLetterConfig is invalid. A dead-letter queue is a standard SQS queue"
            " or a standard SNS topic."
        )


def dead_letter_of(parameters: Parameters) -> str | None:
    """None when the caller did not send DeadLetterConfig; empty when it is to be cleared."""
    sent = parameters.get("DeadLetterConfig")
    return None if sent is None else sent.get("TargetArn") or ""


def _check_range(member: str, value: int | None, low: int, high: int) -> None:
    if value is not None and value > high:
        raise invalid_parameter(
            f"'{member}' value failed to satisfy constraint: Member must have value less than or equal to {high}"
        )
    if value is not None and value < low:
        raise invalid_parameter(
            f"'{member}' value failed to satisfy constraint: Member must have value greater than or equal to {low}"
        )


def variables_of(parameters: Parameters) -> Mapping[str, str] | None:
    """None when the caller did not send Environment; an Environment without variables clears them."""
    environment = parameters.get("Environment")
    return None if environment is None else dict(environment.get("Variables") or {})


def check_variables(variables: Mapping[str, str], quotas: Quotas) -> None:
    reserved = [name for name in variables if name in RESERVED_VARIABLES]
    if reserved:
        raise invalid_parameter(
            f"{_UNABLE} contains reserved keys that are currently not supported for modification."
            f" Reserved keys used in this request: {', '.join(reserved)}"
        )
    if any("\0" in value for value in variables.values()):
        raise invalid_parameter(f"{_UNABLE} contains a null character.")
    measured = json.dumps(variables, separators=(",", ":"), ensure_ascii=False)
    if len(measured.encode()) > quotas.max_variables_bytes:
        limit = f"{quotas.max_variables_bytes / 1024:g}KB"
        raise invalid_parameter(f"{_UNABLE} exceeded the {limit} limit. String measured: {measured}")


def check_levels(parameters: Parameters, current: LoggingConfig | None) -> None:
    """`current`: of the function that is changed; None of one that is made."""
    logging = parameters.get("LoggingConfig") or {}
    log_format = logging.get("LogFormat") or (current.format if current is not None else "Text")
    if log_format != "JSON" and (logging.get("ApplicationLogLevel") or logging.get("SystemLogLevel")):
        raise invalid_parameter(_LEVEL_NEEDS_JSON)


def snap_start_of(parameters: Parameters) -> bool | None:
    """None when the caller did not send SnapStart."""
    sent = parameters.get("SnapStart")
    return None if sent is None else sent.get("ApplyOn") == "PublishedVersions"


def check_snap_start(version: FunctionVersion) -> None:
    """Of a function as it will be: what AWS has no snapshots for, and what Lambent has none for."""
    if not version.snap_start:
        return
    refuse_for_tenants(version, "SnapStart")
    if version.image is not None:
        raise invalid_parameter("SnapStart is not supported for functions created with container images.")
    if version.runtime not in SNAP_START_RUNTIMES:
        raise invalid_parameter(f"{version.runtime} is not supported for SnapStart enabled functions.")
    if version.ephemeral_storage_mb > SNAP_START_STORAGE_MB:
        raise invalid_parameter(
            f"EphemeralStorage above {SNAP_START_STORAGE_MB} MB is not supported for SnapStart enabled functions."
        )


def refuse_for_tenants(version: FunctionVersion, what: str) -> None:
    """What AWS does not have together with tenant isolation. The words are ours: those of AWS are not known."""
    if version.tenant_isolation:
        raise invalid_parameter(f"{what} is not supported for functions with tenant isolation mode PER_TENANT.")


def logging_of(parameters: Parameters, current: LoggingConfig) -> LoggingConfig:
    """What is not sent stays. Levels are of the JSON format alone, which has INFO for those that nobody chose."""
    sent = parameters.get("LoggingConfig") or {}
    group, log_format = sent.get("LogGroup") or current.group, sent.get("LogFormat") or current.format
    if log_format != "JSON":
        return LoggingConfig(group)
    return LoggingConfig(
        group,
        log_format,
        application_level=sent.get("ApplicationLogLevel") or current.application_level or "INFO",
        system_level=sent.get("SystemLogLevel") or current.system_level or "INFO",
    )


def architecture_of(parameters: Parameters) -> str | None:
    """The one architecture that was asked for. The model allows more than one; AWS does not."""
    architectures: Sequence[str] | None = parameters.get("Architectures")
    if not architectures:
        return None
    if len(architectures) > 1:
        raise ApiError(
            "ValidationException",
            f"1 validation error detected: Value '[{', '.join(architectures)}]' at 'architectures' failed to satisfy"
            " constraint: Member must have length less than or equal to 1",
            status=400,
        )
    return architectures[0]


def check_tags(tags: Mapping[str, Any], quotas: Quotas) -> None:
    """All tags that a resource would have."""
    if len(tags) > quotas.max_tags:
        raise invalid_parameter("Number of tags exceeds resource tag limit.")
    for key in tags:
        if key.lower().startswith("aws:"):
            raise invalid_parameter(f"Tag keys that begin with aws: are reserved: {key}")
