"""One invocation after the other: event in, handler, result or error out."""

import os

from lambent_runtime import current
from lambent_runtime.context import LambdaContext
from lambent_runtime.event import decode, encode_response
from lambent_runtime.fault import Fault

_TRACE_ID = "_X_AMZN_TRACE_ID"


class Invoker:
    def __init__(self, api, handler):
        self._api = api
        self._handler = handler

    def run(self):
        """Until the process ends: by an exception that is not an Exception, or when the Runtime API is lost."""
        while True:
            # Without a name for the event, it is not kept while the process waits for the next one.
            self._invoke(*self._api.next())

    def _invoke(self, headers, body):
        request_id = current.request_id = headers.get("lambda-runtime-aws-request-id", "")
        current.tenant_id = headers.get("lambda-runtime-aws-tenant-id")
        trace_id = headers.get("lambda-runtime-trace-id")
        if trace_id:
            os.environ[_TRACE_ID] = trace_id
        else:
            os.environ.pop(_TRACE_ID, None)
        try:
            context = LambdaContext(
                request_id,
                _parse(headers.get("lambda-runtime-client-context"), "Client Context"),
                _parse(headers.get("lambda-runtime-cognito-identity"), "Cognito Identity"),
                int(headers.get("lambda-runtime-deadline-ms") or 0),
                headers.get("lambda-runtime-invoked-function-arn"),
                current.tenant_id,
            )
            event = decode(body) if headers.get("content-type") == "application/json" else body
            response = self._handler(event, context)
            result, content_type = encode_response(response)
        except Fault as fault:
            self._fail(request_id, fault, None)
        except Exception as error:
            self._fail(request_id, None, error)
        else:
            # Outside of `try`: text that UTF-8 cannot hold ends the process, as it does in Lambda.
            self._api.respond(request_id, result if isinstance(result, bytes) else result.encode(), content_type)

    def _fail(self, request_id, fault, error):
        from lambent_runtime import report

        report.invocation_error(self._api, request_id, fault, error)


def _parse(header, name):
    if not header:
        return None
    try:
        return decode(header.encode("utf-8", "surrogateescape"))
    except Fault as fault:
        reason = fault.message.partition(": ")[2]
        message = "Unable to parse %s JSON: %s" % (name, reason)
        raise Fault("Runtime.LambdaContextUnmarshalError", message) from None
