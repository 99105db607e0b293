"""Partial batch responses: which messages of a batch failed, by what the function returned. Pure.

AWS reads the response as an object with one list. What cannot be read so, or names what was not in the batch, fails
the whole batch: nobody knows what the function meant. Nothing at all said means that nothing failed.
"""

from collections.abc import Collection
from typing import Any, Final

import orjson

_KEY: Final = "batchItemFailures"


def failed(response: bytes, ids: Collection[str]) -> frozenset[str]:
    """Those of `ids`, the identifiers of the batch, that failed; all of them where the response is not in order."""
    everything = frozenset(ids)
    if not response.strip():
        return frozenset()
    try:
        found = orjson.loads(response)
    except orjson.JSONDecodeError:
        return everything
    if found is None or found == "":
        return frozenset()
    if not isinstance(found, dict):
        return everything
    items = found.get(_KEY)
    if items is None:
        return frozenset()
    if not isinstance(items, list):
        return everything
    named = {_identifier(item) for item in items}
    return frozenset(each for each in named if each is not None) if named <= everything else everything


def _identifier(item: Any) -> str | None:
    """None, which is in no batch, for what is none."""
    identifier = item.get("itemIdentifier") if isinstance(item, dict) else None
    return identifier if isinstance(identifier, str) and identifier else None
