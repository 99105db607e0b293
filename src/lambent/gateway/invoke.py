"""The short way of lambda:Invoke: route, parse and serialise without walking the model.

Gives exactly what the long way gives, or None: whatever is rare or wrong is left to the long way, which knows the
errors. A property test holds the two together.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from lambent.aws.service import RESPONSE_HEADERS
from lambent.aws.shapes import ServiceModel
from lambent.gateway.http import HttpRequest, HttpResponse
from lambent.gateway.protocols.rest_json import CONTENT_TYPE
from lambent.gateway.quirks.lambda_ import INVOKE_HEADERS
from lambent.gateway.route import Match, decode_label

PREFIX: Final = "/2015-03-31/functions/"
SUFFIX: Final = "/invocations"
_INVOCATION_TYPES: Final = frozenset(("RequestResponse", "Event", "DryRun"))
_LOG_TYPES: Final = frozenset(("None", "Tail"))
_NAME: Final = re.compile(r"[a-zA-Z0-9-_]{1,140}", re.ASCII)
_ARN: Final = re.compile(
    r"arn(?::|%3A)aws(?::|%3A)lambda(?::|%3A)[a-z]{2}-[a-z]+-\d(?::|%3A)\d{12}(?::|%3A)function(?::|%3A)"
    r"[a-zA-Z0-9-_]{1,64}(?:(?::|%3A)[a-zA-Z0-9-_]{1,64})?",
    re.ASCII,
)
_QUERY: Final = re.compile(r"Qualifier=(\$LATEST|%24LATEST|[a-zA-Z0-9-_]{1,128})", re.ASCII)
_RARE: Final = frozenset(("x-amz-tenant-id", "x-amz-durable-execution-name"))
_REPLY_HEADERS: Final = {
    "FunctionError": "X-Amz-Function-Error",
    "LogResult": "X-Amz-Log-Result",
    "ExecutedVersion": "X-Amz-Executed-Version",
    "DurableExecutionArn": "X-Amz-Durable-Execution-Arn",
}


class InvokeShortWay:
    def __init__(self, model: ServiceModel) -> None:
        self._operation = model.operation_model("Invoke")

    def match(self, request: HttpRequest) -> Match | None:
        """The operation with all parameters but the payload; None when the long way has to look."""
        path = request.path
        if request.method != "POST" or not path.startswith(PREFIX) or not path.endswith(SUFFIX):
            return None
        parameters = _parameters(path[len(PREFIX) : -len(SUFFIX)], request.query, request.headers)
        return None if parameters is None else Match(self._operation, {}, parameters)

    def serialise(self, result: Mapping[str, Any]) -> HttpResponse | None:
        status = 200
        payload = b""
        headers = [CONTENT_TYPE]
        for name, value in result.items():
            if value is None:
                continue
            if name == "Payload":
                payload = value
            elif name == "StatusCode":
                status = value
            elif name == RESPONSE_HEADERS:
                headers.extend(value.items())
            else:
                header = _REPLY_HEADERS.get(name)
                if header is None or type(value) is not str:
                    return None
                headers.append((header, value))
        if type(payload) is not bytes:
            return None
        headers.extend(INVOKE_HEADERS)
        return HttpResponse(status, headers, payload)


def _parameters(label: str, query: str, headers: Mapping[str, str]) -> dict[str, Any] | None:
    parameters: dict[str, Any] = {}
    if _NAME.fullmatch(label):
        parameters["FunctionName"] = label
    elif _ARN.fullmatch(label):
        parameters["FunctionName"] = decode_label(label)
    else:
        return None
    kind = headers.get("x-amz-invocation-type")
    if kind is not None:
        if kind not in _INVOCATION_TYPES:
            return None
        parameters["InvocationType"] = kind
    log = headers.get("x-amz-log-type")
    if log is not None:
        if log not in _LOG_TYPES:
            return None
        parameters["LogType"] = log
    context = headers.get("x-amz-client-context")
    if context is not None:
        parameters["ClientContext"] = context
    if query:
        qualifier = _QUERY.fullmatch(query)
        if qualifier is None:
            return None
        parameters["Qualifier"] = qualifier[1].replace("%24", "$")
    if not _RARE.isdisjoint(headers):
        return None
    return parameters
