"""The context object that handlers get as their second argument.

https://docs.aws.amazon.com/lambda/latest/dg/python-context.html
"""

import os
import sys
import time

_W3C_FIELDS = ("traceparent", "tracestate", "baggage")


class _Fields:
    """Attributes from a dict: each of `__slots__`, None where the dict has none."""

    __slots__ = ()

    def __init__(self, values):
        for name in self.__slots__:
            setattr(self, name, values.get(name))

    def __repr__(self):
        fields = ",".join("%s=%s" % (name, getattr(self, name)) for name in self.__slots__)
        return "%s([%s])" % (type(self).__name__, fields)


class CognitoIdentity(_Fields):
    __slots__ = ("cognito_identity_id", "cognito_identity_pool_id")


class Client(_Fields):
    # In the order in which Lambda's own client prints them.
    __slots__ = (  # noqa: RUF023
        "installation_id",
        "app_title",
        "app_version_name",
        "app_version_code",
        "app_package_name",
    )


class ClientContext(_Fields):
    __slots__ = ("custom", "env", "client")  # noqa: RUF023

    def __init__(self, values):
        _Fields.__init__(self, values)
        if self.client is not None:
            self.client = Client(self.client)


_NO_IDENTITY = {}


class LambdaContext:
    def __init__(self, request_id, client_context, cognito_identity, deadline_ms, function_arn, tenant_id):
        environ = os.environ
        self.aws_request_id = request_id
        self.log_group_name = environ.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = environ.get("AWS_LAMBDA_LOG_STREAM_NAME")
        self.function_name = environ.get("AWS_LAMBDA_FUNCTION_NAME")
        self.memory_limit_in_mb = environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.function_version = environ.get("AWS_LAMBDA_FUNCTION_VERSION")
        self.invoked_function_arn = function_arn
        self.tenant_id = tenant_id
        self._w3c_fields = _take_w3c(client_context)
        self.client_context = None if client_context is None else ClientContext(client_context)
        self.identity = CognitoIdentity(_NO_IDENTITY)
        if cognito_identity is not None:
            self.identity.cognito_identity_id = cognito_identity.get("cognitoIdentityId")
            self.identity.cognito_identity_pool_id = cognito_identity.get("cognitoIdentityPoolId")
        self._epoch_deadline_time_in_ms = deadline_ms

    def get_remaining_time_in_millis(self):
        return max(0, self._epoch_deadline_time_in_ms - int(time.time() * 1000))

    def w3c(self):
        """The W3C trace context that came with the invocation; empty without one."""
        return dict(self._w3c_fields)

    def log(self, message):
        """Write to the log without a level or a time; nothing is added to the text."""
        logging = sys.modules.get("logging")
        for handler in logging.getLogger().handlers if logging is not None else ():
            sink = getattr(handler, "log_sink", None)
            if sink is not None:
                sink.log(str(message))
                return
        from lambent_runtime.sink import current_sink

        current_sink().log(str(message))

    def __repr__(self):
        names = (
            "aws_request_id",
            "log_group_name",
            "log_stream_name",
            "function_name",
            "memory_limit_in_mb",
            "function_version",
            "invoked_function_arn",
            "client_context",
            "identity",
            "tenant_id",
        )
        fields = ",".join("%s=%s" % (name, getattr(self, name)) for name in names)
        return "%s([%s])" % (type(self).__name__, fields)


def _take_w3c(client_context):
    """The trace fields of a client context, which are no part of what the handler sees as `client_context`."""
    if not isinstance(client_context, dict):
        return {}
    fields = client_context.pop("w3c", None)
    if not isinstance(fields, dict):
        return {}
    return {name: fields[name] for name in _W3C_FIELDS if isinstance(fields.get(name), str)}
