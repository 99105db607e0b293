"""Errors on their way to the Runtime API and to the log. Imported at the first error."""

import os
import time
import traceback

from lambent_runtime import event
from lambent_runtime.sink import current_sink

_HERE = __file__.rpartition("/")[0] + "/"
# The stack of a RecursionError can be larger than what servers take as the head of a request.
_XRAY_HEADER_LIMIT_BYTES = 32 * 1024
# Lambda's log drops leading blanks, so that those of a traceback are no-break spaces.
_BLANK = "\u00a0"


def invocation_error(api, request_id, fault, error):
    payload, xray = _describe(fault, error, request_id)
    _log(payload)
    cause = event.encode(xray).encode()
    body = event.encode(payload).encode()
    api.fail(request_id, body, cause if len(cause) < _XRAY_HEADER_LIMIT_BYTES else b"")


def init_error(api, fault, error):
    import logging

    payload, _ = _describe(fault, error, "")
    logging.warning(
        "LAMBDA_WARNING: Unhandled exception before the handler could run. Look into the function's code.\r"
    )
    _log(payload)
    api.post(b"init/error", event.encode(payload).encode(), payload["errorType"])


def snapshot_error(api, path, error, error_type):
    """A hook failed: what it raised is told as for any other failure, under a type of its own."""
    payload, _ = _describe(None, error, "")
    _log(payload)
    api.post(path, event.encode(payload).encode(), error_type)


def _describe(fault, error, request_id):
    """(payload for the caller, the same for X-Ray)."""
    if fault is not None:
        kind, message, stack = fault.error_type, fault.message, fault.stack_trace
        xray = _xray("LambdaValidationError", message, [])
    else:
        kind, message = type(error).__name__, str(error)
        frames = _frames(error)
        stack = traceback.format_list(frames)
        xray = _xray(kind, message, frames)
    return {"errorMessage": message, "errorType": kind, "requestId": request_id, "stackTrace": stack}, xray


def _frames(error):
    """The frames of the traceback from the first one that is not ours."""
    frames = [(f.filename, f.lineno, f.name, f.line) for f in traceback.extract_tb(error.__traceback__)]
    for index, frame in enumerate(frames):
        if not frame[0].startswith(_HERE):
            return frames[index:]
    return frames


def _xray(kind, message, frames):
    stack = [{"label": name, "path": path, "line": line} for path, line, name, _ in frames]
    return {
        "working_directory": os.getcwd(),
        "exceptions": [{"message": message, "type": kind, "stack": stack}],
        "paths": list({frame[0] for frame in frames}),
    }


def _log(payload):
    if os.environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON":
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        current_sink().log_lines([event.encode({"timestamp": now, "level": "ERROR", **payload})], True)
        return
    kind, message = payload["errorType"], payload["errorMessage"]
    title = ": ".join(part for part in (kind, message) if part)
    lines = ["[ERROR] " + title if title else "[ERROR]", "Traceback (most recent call last):"]
    for entry in payload["stackTrace"]:
        for line in entry.splitlines() or [""]:
            text = line.lstrip(" ")
            lines.append(_BLANK * (len(line) - len(text)) + text)
    current_sink().log_lines(lines, False)
