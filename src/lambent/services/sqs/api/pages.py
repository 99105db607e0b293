"""Pages of names: a token comes only to those who gave a size, and holds the last name of its page."""

import base64
import binascii
from collections.abc import Sequence
from typing import Final

from lambent.services.sqs.api.errors import invalid

MOST: Final = 1000


def page(names: Sequence[str], size: int | None, token: str | None) -> tuple[Sequence[str], str | None]:
    """The names after the token, and the token of the next page. `names` are in order. Raises `ApiError`."""
    if size is not None and not 1 <= size <= MOST:
        raise invalid(
            "Value for parameter MaxResults is invalid. Reason: MaxResults must be an integer between 1 and 1000."
        )
    after = _name(token) if token else ""
    left = [name for name in names if name > after]
    shown = left[: size or MOST]
    more = size is not None and len(left) > len(shown)
    return shown, base64.urlsafe_b64encode(shown[-1].encode()).decode() if more else None


def _name(token: str) -> str:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise invalid("Invalid or expired next token.") from error
