"""HTTP in, HTTP out: requests of AWS clients to handlers, and their results back. Knows no service by name."""
