"""From "call this function" to a result: the Invoke operation, leases, placement, and what is written of each call."""
