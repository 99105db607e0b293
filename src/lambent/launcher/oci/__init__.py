"""Sandboxes that an OCI runtime makes: the same loop and messages, other hands."""
