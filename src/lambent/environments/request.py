"""One invocation as the environment sees it: what goes in, what comes out.

Named tuples, as all records that each invocation makes: a frozen dataclass takes twice to three times as long.
"""

from typing import NamedTuple


class InvokeRequest(NamedTuple):
    request_id: str
    payload: bytes
    """Handed to the runtime byte for byte."""
    function_arn: str
    """The ARN in the form that the caller used."""
    trace_header: str = ""
    client_context: str = ""
    """JSON text, without line breaks."""
    keep_tail: bool = False
    """The caller wants the log's tail; the result then waits for the REPORT line."""
    tenant_id: str | None = None
    """Of a function with tenant isolation; the environment is this tenant's alone."""
    request_units: int = 1
    """As how many requests it is billed."""


class InvokeResult(NamedTuple):
    payload: bytes
    error_type: str | None = None
    """Set when the function, its runtime or its sandbox failed."""
    log_tail: bytes | None = None
    """Last 4,096 bytes of the invocation's log, REPORT included, when asked for."""
