"""Log records as one JSON object a line, for functions whose LoggingConfig asks for JSON."""

import json
import logging
import traceback

TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"

# Attributes that every record has; all others came with `extra` and belong to the object.
_OF_EVERY_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"aws_request_id", "tenant_id", "message", "asctime"}
_encode = json.JSONEncoder(ensure_ascii=False, default=str).encode


class JsonFormatter(logging.Formatter):
    def __init__(self):
        logging.Formatter.__init__(self, datefmt=TIME_FORMAT)

    def format(self, record):
        # A level between the named ones counts as the one below.
        record.levelno = min(50, max(0, record.levelno)) // 10 * 10
        record.levelname = logging.getLevelName(record.levelno)
        members = {
            "timestamp": self.formatTime(record, self.datefmt),
            "level": record.levelname,
            "message": record.msg if isinstance(record.msg, dict) and not record.args else record.getMessage(),
            "logger": record.name,
        }
        if record.exc_info:
            kind, error, frames = record.exc_info
            members["stackTrace"] = traceback.format_tb(frames)
            members["errorType"] = kind.__name__ if kind is not None else None
            members["errorMessage"] = str(error)
        members["requestId"] = getattr(record, "aws_request_id", None)
        if record.exc_info:
            members["location"] = "%s:%s:%s" % (record.pathname, record.funcName, record.lineno)
        members["tenantId"] = getattr(record, "tenant_id", None)
        for name, value in vars(record).items():
            if name not in _OF_EVERY_RECORD and members.get(name) is None:
                members[name] = value
        return _encode({name: value for name, value in members.items() if value is not None}) + "\n"
