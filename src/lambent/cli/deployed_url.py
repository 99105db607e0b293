"""`lambent deploy --url`: the function's URL, and who may call it. Nothing is changed that is so already."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from urllib.parse import quote

from lambent.cli.client import Client
from lambent.cli.deployment import FUNCTIONS
from lambent.cli.failure import REFUSED, Failure

URLS: Final = "/2021-10-31/functions"
AUTH_TYPES: Final = {"none": "NONE", "iam": "AWS_IAM"}
PUBLIC: Final[Mapping[str, Mapping[str, Any]]] = {
    # The names that AWS's console gives them. Since October 2025 both are needed.
    "FunctionURLAllowPublicAccess": {"Action": "lambda:InvokeFunctionUrl", "FunctionUrlAuthType": "NONE"},
    "FunctionURLAllowInvokeAction": {"Action": "lambda:InvokeFunction", "InvokedViaFunctionUrl": True},
}


@dataclass(frozen=True, slots=True)
class DeployedUrl:
    url: str
    auth_type: str


def deploy_url(client: Client, function: str, auth_type: str) -> DeployedUrl:
    """`auth_type` as in the API. With AWS_IAM the statements that would let everybody in are taken away."""
    name = quote(function, safe="")
    path, policy = f"{URLS}/{name}/url", f"{FUNCTIONS}/{name}/policy"
    config = _unless("ResourceNotFoundException", partial(client.get, path))
    if auth_type != "NONE":
        # First: a URL is never open to more than it was asked for.
        for sid in PUBLIC:
            _unless("ResourceNotFoundException", partial(client.call, "DELETE", f"{policy}/{sid}"))
    if config is None:
        config = _send(client, "POST", path, {"AuthType": auth_type})
    elif config["AuthType"] != auth_type:
        config = _send(client, "PUT", path, {"AuthType": auth_type})
    if auth_type == "NONE":
        for sid, members in PUBLIC.items():
            body = {"StatementId": sid, "Principal": "*", **members}
            _unless("ResourceConflictException", partial(_send, client, "POST", policy, body))
    return DeployedUrl(config["FunctionUrl"], auth_type)


def _send(client: Client, method: str, path: str, body: Mapping[str, Any]) -> Any:
    return client.call(method, path, None, json.dumps(body).encode(), {"content-type": "application/json"}).json()


def _unless(code: str, call: Callable[[], Any]) -> Any:
    """What `call` gives; None when the server refuses with `code`."""
    try:
        return call()
    except Failure as failure:
        if failure.exit_code == REFUSED and failure.message.startswith(code):
            return None
        raise
