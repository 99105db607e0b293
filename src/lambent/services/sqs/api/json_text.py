"""JSON in attributes: as small as it gets, members in the order in which they came."""

import json
from typing import Any


def loaded(text: str) -> Any:
    """Raises ValueError for what is no JSON, or nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def dumped(document: Any) -> str:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def compact(text: str) -> str:
    return dumped(loaded(text))
