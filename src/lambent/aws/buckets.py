"""What the wire of S3 asks of the service before a handler runs: where a bucket is, and who may come unsigned.

Host names, redirects, preflights and anonymous requests are decided in the gateway by pure functions of this.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class BucketFacts:
    account: str
    """Of its owner."""
    region: str
    cors: Sequence[Mapping[str, Any]] = ()
    """`CORSRules` as the model has them, in their order; empty where there are none."""


class Buckets(Protocol):
    async def facts(self, bucket: str) -> BucketFacts | None:
        """None for a bucket that does not exist."""
        ...

    async def open_to_all(self, operation: str, bucket: str, key: str | None) -> bool:
        """Whether somebody who has signed nothing may call `operation` (a name of the model): by the bucket's policy
        or ACL, as its public access block leaves them."""
        ...
