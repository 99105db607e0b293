"""The code of a function that tries to speak for others, at the AWS endpoint and at its Runtime API.

The event is ["keys"], ["request"] or ["try", NAME, ARGUMENTS...]; of the last the result is `ok` or what refused it.
Copied into a package: it imports what a function has.
"""

import http.client
import os
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError

API = "/2018-06-01/runtime"


def handler(event: list[Any], context: Any) -> Any:
    name, *arguments = event
    if name == "keys":
        return keys()
    if name == "request":
        return context.aws_request_id
    return attempt(*arguments)


def keys() -> dict[str, str]:
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    return {name.lower(): os.environ[name] for name in names}


def attempt(name: str, *arguments: Any) -> str:
    return str(globals()[f"try_{name}"](*arguments))


def try_keys(given: dict[str, str], endpoint: str | None = None) -> Any:
    """List functions with `given`: what is not in there is as in the variables of the process."""
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=5)
    try:
        boto3.session.Session().client("lambda", endpoint_url=endpoint, config=config, **given).list_functions()
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"]
    except EndpointConnectionError:
        return "no connection"
    return "ok"


def try_path(path: str, method: str = "GET", host: str | None = None, port: int = 4566) -> Any:
    """The path as it stands, not normalised by a client."""
    return _status("127.0.0.1", port, method, path, {"Host": host} if host else {})


def try_invoke(arn: str) -> Any:
    try:
        boto3.client("lambda", config=Config(retries={"total_max_attempts": 1})).invoke(FunctionName=arn)
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"]
    return "ok"


def try_answer(request_id: str, kind: str) -> Any:
    return _status("127.0.0.1", 9001, "POST", f"{API}/invocation/{request_id}/{kind}", {})


def try_runtime(path: str, method: str) -> Any:
    return _status("169.254.100.1", 9001, method, path, {})


def _status(address: str, port: int, method: str, path: str, headers: dict[str, str]) -> Any:
    connection = http.client.HTTPConnection(address, port, timeout=5)
    try:
        connection.request(method, path, b"{}" if method == "POST" else None, headers)
        status = connection.getresponse().status
    except ConnectionRefusedError:
        return "no connection"
    finally:
        connection.close()
    return "ok" if status < 300 else status
