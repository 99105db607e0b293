"""Sizes that AWS enforces at its front door, and the words with which it refuses."""

from typing import Final

from lambent.aws.errors import ApiError

CODE_REQUEST_BYTES: Final = 70_167_211
"""A request that may carry a zip file of 50 MB in base64."""
PLAIN_REQUEST_BYTES: Final = 10_485_760
"""Any other request. AWS does not publish the number; none of the operations comes near it."""


def request_too_large(limit_bytes: int, operation: str) -> ApiError:
    return ApiError(
        "RequestEntityTooLargeException",
        f"Request must be smaller than {limit_bytes} bytes for the {operation} operation",
        status=413,
    )
