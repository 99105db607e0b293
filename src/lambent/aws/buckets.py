"""What the wire of S3 asks of the service before a handler runs: whose a bucket is, where, and its CORS rules.

Host names, redirects and preflights are decided in the gateway by pure functions of this. Who has signed nothing is
`ANYONE`; whether he may do what he asks is the service's to decide, in front of every handler.
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
