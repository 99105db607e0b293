"""Deployment packages for end-to-end tests: zips in memory, and functions made of them."""

import io
import sys
import zipfile
from collections.abc import Mapping
from typing import Any

ROLE = "arn:aws:iam::000000000000:role/lambda-role"
RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"
"""The runtime identifier of the Python that runs the tests: it is certainly on this machine."""

ECHO = "def handler(event, context):\n    return event\n"


def zip_of(files: Mapping[str, str | bytes]) -> bytes:
    """The same files always give the same bytes, so that a package's digest can be compared."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, date_time=(2026, 1, 1, 0, 0, 0))
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


def create_function(client: Any, name: str, source: str = ECHO, **members: Any) -> dict[str, Any]:
    """CreateFunction of one module `app` with `handler`, waited for until Active. `members` override.

    Returns the answer of GetFunctionConfiguration.
    """
    request: dict[str, Any] = {
        "FunctionName": name,
        "Runtime": RUNTIME,
        "Role": ROLE,
        "Handler": "app.handler",
        "Code": {"ZipFile": zip_of({"app.py": source})},
        **members,
    }
    client.create_function(**request)
    wait_active(client, name)
    answer: dict[str, Any] = client.get_function_configuration(FunctionName=name)
    return answer


def wait_active(client: Any, name: str) -> None:
    """Within 10 s, asking every 50 ms; WaiterError names the State when it failed."""
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 400})


def wait_updated(client: Any, name: str) -> None:
    client.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 400})
