from dataclasses import replace

import pytest

from lambent.runtimes.variables import RESERVED, python_variables
from tests.unit.runtimes.test_catalog import LAYOUT, process

# lambda-2-runtime.md 3.2 of the specification, for a function with a text log.
EXPECTED = {
    "_HANDLER": "app.handler",
    "_LAMBDA_TELEMETRY_LOG_FD": "1",
    "_AWS_XRAY_DAEMON_ADDRESS": "169.254.100.1",
    "_AWS_XRAY_DAEMON_PORT": "2000",
    "AWS_ACCESS_KEY_ID": "AKID",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:4566",
    "AWS_EXECUTION_ENV": "AWS_Lambda_python3.12",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
    "AWS_LAMBDA_FUNCTION_NAME": "shop",
    "AWS_LAMBDA_FUNCTION_VERSION": "7",
    "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
    "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/shop",
    "AWS_LAMBDA_LOG_STREAM_NAME": "2026/11/20/[7]0123",
    "AWS_LAMBDA_METADATA_API": "169.254.100.1:9001",
    "AWS_LAMBDA_METADATA_TOKEN": "where",
    "AWS_LAMBDA_RUNTIME_API": "169.254.100.1:9001",
    "AWS_REGION": "eu-central-1",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_SESSION_TOKEN": "token",
    "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
    "AWS_XRAY_DAEMON_ADDRESS": "169.254.100.1:2000",
    "LAMBDA_RUNTIME_DIR": "/var/runtime",
    "LAMBDA_TASK_ROOT": "/var/task",
    "LANG": "en_US.UTF-8",
    "LD_LIBRARY_PATH": (
        "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib"
    ),
    "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
    "PWD": "/var/task",
    "PYTHONPATH": "/var/runtime",
    "SHLVL": "0",
    "TZ": ":UTC",
}


def test_a_function_gets_exactly_these_variables() -> None:
    assert python_variables(process(), LAYOUT) == EXPECTED


def test_the_own_variables_of_a_function_win_over_defaults_and_never_over_reserved_ones() -> None:
    own = {
        "TABLE": "orders",
        "PATH": "/opt/bin",
        "LANG": "de_DE.UTF-8",
        "AWS_REGION": "us-east-1",
        "_HANDLER": "evil.h",
    }
    variables = python_variables(process(variables=own), LAYOUT)
    assert variables == {**EXPECTED, "TABLE": "orders", "PATH": "/opt/bin", "LANG": "de_DE.UTF-8"}


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_a_reserved_name_cannot_be_set(name: str) -> None:
    assert python_variables(process(variables={name: "mine"}), LAYOUT) == EXPECTED


def test_json_logging_is_told_to_the_runtime() -> None:
    variables = python_variables(process(log_format="JSON", log_level="DEBUG"), LAYOUT)
    assert variables == {**EXPECTED, "AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "DEBUG"}
    assert python_variables(process(log_level="DEBUG"), LAYOUT) == EXPECTED


def test_without_mounts_paths_are_those_of_the_host() -> None:
    layout = replace(LAYOUT, task="/d/code", opt="/d/opt", tmp="/d/tmp", lang="/usr", runtime="/d/runtime")
    variables = python_variables(process(), layout)
    assert variables["LAMBDA_TASK_ROOT"] == variables["PWD"] == "/d/code"
    assert variables["TMPDIR"] == "/d/tmp"
    assert variables["_LAMBENT_OPT"] == "/d/opt"
    assert not [value for value in variables.values() if "/var/" in value]


def test_secrets_are_not_in_the_text_form() -> None:
    assert "secret" not in repr(process())
