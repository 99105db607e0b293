"""Function URLs of a running server, spoken to as any HTTP client does: real sockets, real sandboxes."""

import base64
import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from lambent.testing.running_server import Server
from tests.e2e.packages import create_function

SITE = """
import base64

def handler(event, context):
    path = event["rawPath"]
    if path == "/event":
        return event
    if path == "/boom":
        raise ValueError("boom")
    if path == "/upload":
        body = base64.b64decode(event["body"])
        return {"statusCode": 200, "headers": {"content-type": "application/octet-stream"},
                "body": base64.b64encode(body[::-1]).decode(), "isBase64Encoded": True}
    return {"statusCode": 201, "cookies": ["seen=" + ",".join(event.get("cookies", []))], "body": "hello"}
"""


class Site:
    """The URL of a function, by host name."""

    def __init__(self, server: Server, function_url: str) -> None:
        self.host = urlsplit(function_url).netloc
        self._port = server.port

    def send(
        self, method: str = "GET", path: str = "/", body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request(method, path, body, {"Host": self.host, **(headers or {})})
            response = connection.getresponse()
            return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
        finally:
            connection.close()

    def send_signed(
        self, method: str = "GET", path: str = "/", body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        request = AWSRequest(
            method, f"http://{self.host}{path}", data=body, headers={"Host": self.host, **(headers or {})}
        )
        SigV4Auth(Credentials("000000000000", "secret"), "lambda", "us-east-1").add_auth(request)
        return self.send(method, path, body or None, dict(request.headers.items()))


@pytest.fixture(scope="module")
def site(server: Server) -> Site:
    """Of the function `site`, for signed requests."""
    client = server.client("lambda")
    create_function(client, "site", SITE)
    reply = client.create_function_url_config(
        FunctionName="site", AuthType="AWS_IAM", Cors={"AllowOrigins": ["https://app.example"], "AllowMethods": ["GET"]}
    )
    return Site(server, reply["FunctionUrl"])


def test_a_signed_request_is_one_invocation(site: Site) -> None:
    status, headers, body = site.send_signed(headers={"Cookie": "a=1; b=2"})
    assert (status, body) == (201, b"hello")
    assert headers["set-cookie"] == "seen=a=1,b=2"
    event = json.loads(site.send_signed(path="/event?a=1&a=2")[2])
    assert event["queryStringParameters"] == {"a": "1,2"}
    assert event["requestContext"]["authorizer"]["iam"]["accountId"] == "000000000000"


def test_binary_bodies_pass_both_ways(site: Site) -> None:
    status, headers, body = site.send_signed("POST", "/upload", bytes(range(256)) * 1000)
    assert (status, headers["content-type"]) == (200, "application/octet-stream")
    assert body == (bytes(range(256)) * 1000)[::-1]


def test_a_failing_function_is_a_bad_gateway(site: Site) -> None:
    status, headers, body = site.send_signed(path="/boom")
    assert (status, headers["content-type"], body) == (502, "text/plain", b"Internal Server Error")


def test_what_is_not_signed_is_forbidden_but_a_preflight_is_answered(site: Site) -> None:
    status, _, body = site.send()
    assert status == 403
    assert json.loads(body)["Message"].startswith("Forbidden. For troubleshooting Function URL authorization issues")
    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "GET"}
    status, headers, _ = site.send("OPTIONS", headers=asked)
    assert (status, headers["access-control-allow-origin"]) == (200, "https://app.example")


def test_a_public_url_is_called_by_anybody_once_both_statements_are_there(server: Server) -> None:
    client = server.client("lambda")
    create_function(client, "public", SITE)
    site = Site(server, client.create_function_url_config(FunctionName="public", AuthType="NONE")["FunctionUrl"])
    everybody = {"FunctionName": "public", "Principal": "*"}
    assert site.send()[0] == 403
    client.add_permission(StatementId="url", Action="lambda:InvokeFunctionUrl", FunctionUrlAuthType="NONE", **everybody)
    assert site.send()[0] == 403
    client.add_permission(StatementId="call", Action="lambda:InvokeFunction", InvokedViaFunctionUrl=True, **everybody)
    status, _, body = site.send(headers={"Origin": "https://any.example"})
    assert (status, body) == (201, b"hello")
    # The statement is for the URL alone: another account may not Invoke.
    with pytest.raises(ClientError) as refused:
        server.client("lambda", account="999999999999").invoke(
            FunctionName="arn:aws:lambda:us-east-1:000000000000:function:public"
        )
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
    client.remove_permission(FunctionName="public", StatementId="url")
    status, headers, body = site.send()
    assert (status, headers["x-amzn-errortype"]) == (403, "AccessDeniedException")


def test_a_url_outlives_a_crash(start_server: Any) -> None:
    server = start_server()
    client = server.client("lambda")
    create_function(client, "lasting", SITE)
    url = client.create_function_url_config(FunctionName="lasting", AuthType="AWS_IAM")["FunctionUrl"]
    server.kill()
    server = start_server()
    again = server.client("lambda").get_function_url_config(FunctionName="lasting")["FunctionUrl"]
    assert urlsplit(again).hostname == urlsplit(url).hostname
    status, _, body = Site(server, again).send_signed()
    assert (status, body) == (201, b"hello")


def test_base64_of_the_event_is_the_body(site: Site) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    event = json.loads(site.send_signed("POST", "/event", b"a=1", form)[2])
    assert (base64.b64decode(event["body"]), event["isBase64Encoded"]) == (b"a=1", True)
