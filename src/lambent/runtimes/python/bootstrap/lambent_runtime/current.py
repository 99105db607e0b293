"""Of the invocation that is running, what log records need, and where they go."""

request_id = None
tenant_id = None
log_fd = None
