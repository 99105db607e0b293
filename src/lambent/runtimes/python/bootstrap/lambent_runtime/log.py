"""The handler that Lambda puts on the root logger, and the two forms of its records: text and JSON.

https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html. Imported only when the function imports `logging`.
"""

import logging
import os
import time

from lambent_runtime import current
from lambent_runtime.sink import current_sink

_TEXT = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n"


class LambdaLoggerHandler(logging.Handler):
    def __init__(self, sink):
        logging.Handler.__init__(self)
        self.log_sink = sink

    def emit(self, record):
        self.log_sink.log(self.format(record))


class LambdaLoggerHandlerWithFrameType(LambdaLoggerHandler):
    """What stands in its place when the function's logging is configured in Lambda."""

    def emit(self, record):
        level = min(50, max(0, record.levelno)) // 10 * 10
        self.log_sink.log(self.format(record), level, is_json())


class _InvocationFilter(logging.Filter):
    def filter(self, record):
        record.aws_request_id = current.request_id or ""
        record.tenant_id = current.tenant_id
        return True


def is_json():
    return os.environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON"


def configure(logging):
    logging.Formatter.converter = time.gmtime
    level = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
    handler = (LambdaLoggerHandlerWithFrameType if is_json() or level else LambdaLoggerHandler)(current_sink())
    if is_json():
        from lambent_runtime.json_log import JsonFormatter

        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(logging.Formatter(_TEXT, "%Y-%m-%dT%H:%M:%S"))
    handler.addFilter(_InvocationFilter())
    root = logging.getLogger()
    root.addHandler(handler)
    level = "DEBUG" if level == "TRACE" else level
    if level in logging._nameToLevel:
        root.setLevel(level)
