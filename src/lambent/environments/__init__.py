"""Execution environments: from a function version to a process that answers invocations."""
