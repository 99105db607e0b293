"""The event that a request to a function URL becomes: payload format 2.0.

Pure: a request in, a dict of JSON out. Differences to AWS, because there is no TLS here: no `x-amzn-tls-*` headers, and
`x-forwarded-proto` tells what was really spoken.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl

from lambent.aws.service import Identity

_TEXT: Final = re.compile(r"text/.*|application/(json|javascript|xml|.*\+json|.*\+xml)")
"""Content types whose body is handed over as text; forms and multipart bodies are not among them."""
_OF_THE_CONNECTION: Final = frozenset(
    {
        *("connection", "expect", "keep-alive", "proxy-authorization", "proxy-connection", "te", "trailer"),
        *("transfer-encoding", "upgrade"),
    }
)
_OF_THE_SIGNATURE: Final = frozenset({"authorization", "x-amz-security-token"})


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlRequest:
    """What arrived. Header names are in lower case, a repeated header is joined."""

    method: str
    path: str
    """As on the wire, without what only leads to the URL; never empty."""
    query: str
    headers: Mapping[str, str]
    body: bytes
    domain: str
    """Host name of the URL."""
    scheme: str
    port: int
    source_ip: str
    request_id: str
    caller: Identity | None
    """Who has signed; None when nobody had to."""


def event_of(request: UrlRequest, *, url_id: str, account: str, trace_id: str, epoch_ms: int) -> dict[str, Any]:
    """`account`: the owner of the function."""
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": request.path,
        "rawQueryString": request.query,
        "headers": _headers(request, trace_id),
        "requestContext": _context(request, url_id, account, epoch_ms),
        "isBase64Encoded": False,
    }
    if cookies := request.headers.get("cookie"):
        event["cookies"] = [cookie for part in cookies.split(";") if (cookie := part.strip())]
    if parameters := _parameters(request.query):
        event["queryStringParameters"] = parameters
    if request.body:
        event["body"], event["isBase64Encoded"] = _body(request.body, request.headers.get("content-type", ""))
    return event


def _context(request: UrlRequest, url_id: str, account: str, epoch_ms: int) -> dict[str, Any]:
    context: dict[str, Any] = {
        "accountId": "anonymous" if request.caller is None else account,
        "apiId": url_id,
        "domainName": request.domain,
        "domainPrefix": url_id,
        "http": {
            "method": request.method,
            "path": request.path,
            "protocol": "HTTP/1.1",
            "sourceIp": request.source_ip,
            "userAgent": request.headers.get("user-agent", ""),
        },
        "requestId": request.request_id,
        "routeKey": "$default",
        "stage": "$default",
        "time": f"{datetime.fromtimestamp(epoch_ms // 1000, UTC):%d/%b/%Y:%H:%M:%S} +0000",
        "timeEpoch": epoch_ms,
    }
    if request.caller is not None:
        context["authentication"] = None
        context["authorizer"] = {"iam": _iam(request.caller)}
    return context


def _iam(caller: Identity) -> dict[str, Any]:
    # Of the root user the id is the account; of others we know the name that the ARN ends with.
    name = caller.arn.rpartition(":")[2]
    caller_id = caller.account if name == "root" else name.rpartition("/")[2]
    return {
        "accessKey": caller.access_key_id,
        "accountId": caller.account,
        "callerId": caller_id,
        "cognitoIdentity": None,
        "principalOrgId": None,
        "userArn": caller.arn,
        "userId": caller_id,
    }


def _headers(request: UrlRequest, trace_id: str) -> dict[str, str]:
    """Cookies are told in their own place. A signature is nobody's business but ours, and could be used again."""
    left_out = _OF_THE_CONNECTION | {"cookie"} | (_OF_THE_SIGNATURE if request.caller is not None else frozenset())
    headers = {name: value for name, value in request.headers.items() if name not in left_out}
    if request.body:
        headers["content-length"] = str(len(request.body))
    headers["x-amzn-trace-id"] = trace_id
    headers["x-forwarded-for"] = request.source_ip
    headers["x-forwarded-port"] = str(request.port)
    headers["x-forwarded-proto"] = request.scheme
    return headers


def _parameters(query: str) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True, errors="replace"):
        parameters[name] = f"{parameters[name]},{value}" if name in parameters else value
    return parameters


def _body(body: bytes, content_type: str) -> tuple[str, bool]:
    """The body as text, and whether that is base64."""
    if _TEXT.fullmatch(content_type.partition(";")[0].strip().lower()):
        try:
            return body.decode(), False
        except UnicodeDecodeError:
            # What says that it is text and is not must not be damaged.
            pass
    return base64.b64encode(body).decode(), True
