"""Aliases over the real command: shares of traffic, a new target under load, and what a crash leaves."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from lambent.testing.running_server import Server
from tests.e2e.packages import create_function, wait_updated, zip_of

SAYS = "def handler(event, context):\n    return [{number}, context.function_version, context.invoked_function_arn]\n"
INVOCATIONS = 1000
THREADS = 4


def two_versions(client: Any, name: str) -> None:
    """Version 1 says 1 and version 2 says 2."""
    create_function(client, name, SAYS.format(number=1))
    client.publish_version(FunctionName=name)
    client.update_function_code(FunctionName=name, ZipFile=zip_of({"app.py": SAYS.format(number=2)}), Publish=True)
    wait_updated(client, name)
    client.get_waiter("published_version_active").wait(FunctionName=name, Qualifier="2")


def invoked(client: Any, name: str) -> str:
    """The version that ran; what it says of itself agrees with the header."""
    reply = client.invoke(FunctionName=name, Qualifier="live")
    number, version, arn = json.load(reply["Payload"])
    assert str(number) == version == reply["ExecutedVersion"]
    assert arn.endswith(f":{name}:live")
    return str(version)


def test_weights_share_out_invocations(lambda_client: Any) -> None:
    two_versions(lambda_client, "shared")
    lambda_client.create_alias(
        FunctionName="shared",
        Name="live",
        FunctionVersion="1",
        RoutingConfig={"AdditionalVersionWeights": {"2": 0.3}},
    )
    with ThreadPoolExecutor(THREADS) as pool:
        seen = Counter(pool.map(lambda _: invoked(lambda_client, "shared"), range(INVOCATIONS)))
    assert set(seen) == {"1", "2"}
    # Six standard deviations: one run in 500 million fails by chance.
    assert abs(seen["2"] - 300) < 6 * (INVOCATIONS * 0.3 * 0.7) ** 0.5


def test_an_alias_gets_a_new_target_while_invocations_run(lambda_client: Any) -> None:
    two_versions(lambda_client, "moved")
    lambda_client.create_alias(FunctionName="moved", Name="live", FunctionVersion="1")
    with invoking(lambda_client, "moved") as seen:
        for turn in range(40):
            number = "12"[turn % 2]
            lambda_client.update_alias(FunctionName="moved", Name="live", FunctionVersion=number)
            # An answered update is what the next invocation sees.
            assert invoked(lambda_client, "moved") == number
    assert set(seen) == {"1", "2"}


@contextmanager
def invoking(client: Any, name: str) -> Iterator[Counter[str]]:
    """Invocations without a pause until the end of the block; none may fail."""
    seen: Counter[str] = Counter()
    enough = threading.Event()

    def invoke() -> list[str]:
        versions = []
        while not enough.is_set():
            versions.append(invoked(client, name))
        return versions

    with ThreadPoolExecutor(THREADS) as pool:
        running = [pool.submit(invoke) for _ in range(THREADS)]
        try:
            yield seen
        finally:
            enough.set()
        for each in running:
            seen.update(each.result(timeout=30))


def test_aliases_and_policies_survive_a_kill(start_server: Callable[..., Server]) -> None:
    server = start_server()
    client = server.client("lambda")
    two_versions(client, "kept")
    client.create_alias(
        FunctionName="kept", Name="live", FunctionVersion="1", RoutingConfig={"AdditionalVersionWeights": {"2": 1.0}}
    )
    client.add_permission(
        FunctionName="kept", Qualifier="live", StatementId="s", Action="lambda:*", Principal="999999999999"
    )
    before = [_known(client, "get_alias", Name="live"), _known(client, "get_policy", Qualifier="live")]
    server.kill()
    again = start_server()
    client = again.client("lambda")
    assert [_known(client, "get_alias", Name="live"), _known(client, "get_policy", Qualifier="live")] == before
    assert invoked(client, "kept") == "2"
    other = again.client("lambda", account="999999999999")
    arn = before[0]["AliasArn"]
    assert other.invoke(FunctionName=arn)["ExecutedVersion"] == "2"


def _known(client: Any, operation: str, **members: Any) -> dict[str, Any]:
    reply: dict[str, Any] = getattr(client, operation)(FunctionName="kept", **members)
    del reply["ResponseMetadata"]
    return reply
