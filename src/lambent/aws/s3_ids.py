"""The two ids of a reply of S3. The second follows from the first, so whoever knows one says both."""

import base64
import hashlib

from lambent.core.ids import uuid4


def request_id(of: str | None = None) -> str:
    """16 digits and capitals, from a UUID where there is one."""
    return (of or uuid4()).replace("-", "")[:16].upper()


def host_id(of: str) -> str:
    """`x-amz-id-2`: 76 characters."""
    return base64.b64encode(hashlib.shake_128(of.encode()).digest(57)).decode()
