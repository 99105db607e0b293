"""What the three batches have in common: faults of the whole call, and how the fault of one entry is told."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from lambent.aws.errors import ApiError
from lambent.aws.service import Result
from lambent.services.sqs.api.errors import missing

MOST: Final = 10
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,80}", re.ASCII)

Entries = Sequence[Mapping[str, Any]]


def check(entries: Entries, entry: str) -> None:
    """`entry` is the name of one in the query protocol. Raises `ApiError`."""
    if not entries:
        raise ApiError("EmptyBatchRequest", f"There should be at least one {entry} in the request.")
    if len(entries) > MOST:
        text = f"Maximum number of entries per request are {MOST}. You have sent {len(entries)}."
        raise ApiError("TooManyEntriesInBatchRequest", text)
    for number, one in enumerate(entries, 1):
        name = (one or {}).get("Id")
        if name is None:
            raise missing(f"{entry}.{number}.Id")
        if not _ID.fullmatch(name):
            raise ApiError(
                "InvalidBatchEntryId",
                "A batch entry id can only contain alphanumeric characters, hyphens and underscores. "
                "It can be at most 80 letters long.",
            )


def check_distinct(entries: Entries) -> None:
    seen = set()
    for entry in entries:
        if entry["Id"] in seen:
            raise ApiError("BatchEntryIdsNotDistinct", f"Id {entry['Id']} repeated.")
        seen.add(entry["Id"])


def failure(name: str, error: ApiError) -> dict[str, Any]:
    """The codes of single entries are those of the query protocol, which is what is raised here for them."""
    return {"Id": name, "Code": error.code, "Message": error.message, "SenderFault": True}


def result(successful: list[dict[str, Any]], failed: list[dict[str, Any]]) -> Result:
    return {"Successful": successful, "Failed": failed}
