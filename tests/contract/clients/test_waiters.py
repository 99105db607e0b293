"""boto3's waiters end when the server says so, and not before."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import WaiterError

from lambent.testing.running_server import Server
from tests.e2e.packages import ECHO, ROLE, RUNTIME, zip_of

FAST = {"Delay": 1, "MaxAttempts": 30}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with Server.start(tmp_path_factory.mktemp("waiters") / "data", "--sandbox", "process") as server:
        yield server.client("lambda")


def create(client: Any, name: str, **members: Any) -> None:
    client.create_function(
        FunctionName=name,
        **{
            "Runtime": RUNTIME,
            "Role": ROLE,
            "Handler": "app.handler",
            "Code": {"ZipFile": zip_of({"app.py": ECHO})},
            **members,
        },
    )


def wait(client: Any, waiter: str, name: str, **parameters: Any) -> None:
    client.get_waiter(waiter).wait(FunctionName=name, WaiterConfig=FAST, **parameters)


def test_a_function_becomes_active_updated_and_published(client: Any) -> None:
    create(client, "f")
    wait(client, "function_exists", "f")
    wait(client, "function_active", "f")
    wait(client, "function_active_v2", "f")
    assert client.get_function(FunctionName="f")["Configuration"]["State"] == "Active"
    client.update_function_configuration(FunctionName="f", Timeout=7)
    wait(client, "function_updated", "f")
    wait(client, "function_updated_v2", "f")
    assert client.get_function_configuration(FunctionName="f")["LastUpdateStatus"] == "Successful"
    version = client.publish_version(FunctionName="f")["Version"]
    wait(client, "published_version_active", "f", Qualifier=version)
    assert client.get_function_configuration(FunctionName="f", Qualifier=version)["State"] == "Active"


def test_a_waiter_fails_for_a_function_that_cannot_run(client: Any) -> None:
    """No interpreter of Java's is served: the state says so, and the waiter stops at once."""
    create(client, "j", Runtime="java21", Handler="Main::handle")
    with pytest.raises(WaiterError, match="Failed"):
        wait(client, "function_active_v2", "j")
