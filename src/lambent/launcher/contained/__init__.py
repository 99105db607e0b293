"""Sandboxes in a container that may make no namespaces: a user number, Landlock and ports of their own."""
