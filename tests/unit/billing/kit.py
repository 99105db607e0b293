"""Usages and rows with everything that a test does not care about."""

from typing import Any

from lambent.billing.rows import Key, Kind, Span
from lambent.environments.events import Usage
from tests.unit.environments.kit import function_version

NOVEMBER_MS = 1_793_491_200_000
"""2026-11-01T00:00:00Z"""
ACCOUNT = "000000000000"


def usage(billed_ms: int = 100, time_ms: int = NOVEMBER_MS, *, version: Any = None, **changes: Any) -> Usage:
    return Usage(version or function_version(), time_ms, billed_ms, **changes)


def key(**changes: Any) -> Key:
    found = Key(Span.MINUTE, NOVEMBER_MS, ACCOUNT, "us-east-1", "thumbnail", "$LATEST", "x86_64", Kind.ON_DEMAND)
    return found._replace(**changes)
