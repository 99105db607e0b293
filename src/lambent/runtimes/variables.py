"""The environment variables of a runtime process: what Lambda defines, and what functions may not set.

Source: "Working with Lambda environment variables" in the developer guide, and what a Python 3.14 function prints.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lambent.runtimes.layout import Layout

RESERVED = frozenset(
    {
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_DEFAULT_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_MAX_CONCURRENCY",
        "AWS_LAMBDA_METADATA_API",
        "AWS_LAMBDA_METADATA_TOKEN",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
    }
)
"""A function whose Environment has one of these is refused by CreateFunction and UpdateFunctionConfiguration."""


SNAP_START = "snap-start"
"""An initialization type."""
_NOT_UNDER_SNAP_START = (
    "AWS_ACCESS_KEY_ID",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """What one runtime process is told of its function and its environment."""

    runtime: str
    """Identifier, for example `python3.12`."""
    handler: str
    function_name: str
    function_version: str
    memory_mb: int
    region: str
    log_group: str
    log_stream: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    credentials_token: str = field(default="", repr=False)
    """Under SnapStart, for the endpoint that has the credentials instead of the variables."""
    metadata_token: str = field(default="", repr=False)
    initialization_type: str = "on-demand"
    log_format: str = "Text"
    log_level: str | None = None
    """Of the application's records; only with `log_format` JSON."""
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The function's own: secrets."""


def python_variables(process: Process, layout: Layout) -> dict[str, str]:
    """The whole environment of a Python runtime. The function's variables win over defaults, never over RESERVED."""
    variables = _defaults(layout)
    variables.update((name, value) for name, value in process.variables.items() if name not in RESERVED)
    if process.log_format == "JSON":
        variables["AWS_LAMBDA_LOG_FORMAT"] = "JSON"
        if process.log_level is not None:
            variables["AWS_LAMBDA_LOG_LEVEL"] = process.log_level
    variables.update(_reserved(process, layout))
    if layout.opt != "/opt":
        # For our bootstrap alone, which takes it away before it imports the handler.
        variables["_LAMBENT_OPT"] = layout.opt
    return variables


def custom_variables(process: Process, layout: Layout) -> dict[str, str]:
    """The whole environment of a custom runtime: without what only AWS's own runtimes are told."""
    variables = python_variables(process, layout)
    for name in _NOT_FOR_CUSTOM - process.variables.keys():
        variables.pop(name, None)
    variables.pop("AWS_EXECUTION_ENV", None)
    return variables


_NOT_FOR_CUSTOM = frozenset({"PYTHONPATH", "_LAMBDA_TELEMETRY_LOG_FD", "_LAMBENT_OPT"})
_AT_START = ("LANG", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "TZ")


def python_start_variables(runtime: str, layout: Layout) -> dict[str, str]:
    """The part of them that the interpreter and the bootstrap read when they start: the same for all functions."""
    defaults = _defaults(layout)
    return {"AWS_EXECUTION_ENV": _execution_env(runtime)} | {name: defaults[name] for name in _AT_START}


def _execution_env(runtime: str) -> str:
    return f"AWS_Lambda_{runtime}"


_NOT_FOR_EXTENSIONS = frozenset(
    {
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_XRAY_CONTEXT_MISSING",
        "AWS_XRAY_DAEMON_ADDRESS",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
    }
)


def extension_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """Of an external extension: those of the runtime, without what Lambda keeps to that. It starts elsewhere."""
    return {
        name: value
        for name, value in variables.items()
        if name not in _NOT_FOR_EXTENSIONS and not name.startswith("_") and name != "PWD"
    }


def _reserved(process: Process, layout: Layout) -> dict[str, str]:
    variables = _reserved_without_snapshot(process, layout)
    if process.initialization_type == SNAP_START:
        # What differs between two restored environments cannot be in memory that they have in common.
        for name in _NOT_UNDER_SNAP_START:
            del variables[name]
        # SDKs take credentials from loopback addresses alone.
        api = f"127.0.0.1:{layout.runtime_api.rpartition(':')[2]}"
        variables["AWS_LAMBDA_RUNTIME_API"] = variables["AWS_LAMBDA_METADATA_API"] = api
        variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = f"http://{api}/2021-04-23/credentials"
        variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = process.credentials_token
    return variables


def _reserved_without_snapshot(process: Process, layout: Layout) -> dict[str, str]:
    return {
        "_HANDLER": process.handler,
        # Standard output: records and prints keep their order, and `environments.log_frames` tells them apart.
        "_LAMBDA_TELEMETRY_LOG_FD": "1",
        "AWS_ACCESS_KEY_ID": process.access_key_id,
        "AWS_DEFAULT_REGION": process.region,
        "AWS_EXECUTION_ENV": _execution_env(process.runtime),
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(process.memory_mb),
        "AWS_LAMBDA_FUNCTION_NAME": process.function_name,
        "AWS_LAMBDA_FUNCTION_VERSION": process.function_version,
        "AWS_LAMBDA_INITIALIZATION_TYPE": process.initialization_type,
        "AWS_LAMBDA_LOG_GROUP_NAME": process.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": process.log_stream,
        "AWS_LAMBDA_METADATA_API": layout.runtime_api,
        "AWS_LAMBDA_METADATA_TOKEN": process.metadata_token,
        "AWS_LAMBDA_RUNTIME_API": layout.runtime_api,
        "AWS_REGION": process.region,
        "AWS_SECRET_ACCESS_KEY": process.secret_access_key,
        "AWS_SESSION_TOKEN": process.session_token,
        "LAMBDA_RUNTIME_DIR": layout.runtime,
        "LAMBDA_TASK_ROOT": layout.task,
    }


def _defaults(layout: Layout) -> dict[str, str]:
    runtime, task = layout.runtime, layout.task
    daemon = layout.runtime_api.rpartition(":")[0]
    defaults = {
        "AWS_ENDPOINT_URL": layout.aws_endpoint_url,
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "AWS_XRAY_DAEMON_ADDRESS": f"{daemon}:2000",
        "_AWS_XRAY_DAEMON_ADDRESS": daemon,
        "_AWS_XRAY_DAEMON_PORT": "2000",
        "LANG": "en_US.UTF-8",
        "LD_LIBRARY_PATH": (
            f"{layout.lang}/lib:/lib64:/usr/lib64:{runtime}:{runtime}/lib:{task}:{task}/lib:{layout.opt}/lib"
        ),
        "PATH": f"{layout.lang}/bin:/usr/local/bin:/usr/bin/:/bin:{layout.opt}/bin",
        "PWD": task,
        "PYTHONPATH": runtime,
        "SHLVL": "0",
        "TZ": ":UTC",
    }
    if layout.tmp != "/tmp":
        defaults["TMPDIR"] = layout.tmp
    return defaults
