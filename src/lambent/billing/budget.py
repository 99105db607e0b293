"""A budget: an amount of a month for a function or an account, and what it says of a sum. Pure."""

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple

from lambent.aws.errors import ApiError, invalid_parameter

WARN_AT: Final = Decimal("0.8")
_AMOUNT: Final = re.compile(r"\$?([0-9]{1,12}(?:\.[0-9]{1,10})?)", re.ASCII)
"""A trillion dollars at most, and the least that AWS charges: longer ones would be repeated in each log and refusal."""


class Scope(NamedTuple):
    """One function in one region; without both, the whole account."""

    account: str
    region: str = ""
    function: str = ""

    @property
    def name(self) -> str:
        return f"function {self.function} ({self.region})" if self.function else f"account {self.account}"


class Standing(StrEnum):
    WITHIN = "within"
    NEAR = "near"
    """80 % or more is used."""
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Budget:
    scope: Scope
    amount: Decimal
    """US dollars in a month of UTC."""
    stop: bool = False
    """Over it no invocation begins; otherwise that is only told."""

    @classmethod
    def of(cls, scope: Scope, amount: object, *, stop: bool = False) -> "Budget":
        """Raises ApiError for an amount that is none."""
        found = _AMOUNT.fullmatch(str(amount))
        if found is None:
            raise invalid_parameter(f"A budget is an amount of US dollars such as 5 or 0.25, not {str(amount)[:40]!r}.")
        return cls(scope, Decimal(found[1]), stop)

    def standing(self, spent: Decimal) -> Standing:
        """A budget of nothing is over as soon as there is one: it means that nothing may be spent."""
        if spent >= self.amount:
            return Standing.OVER
        return Standing.NEAR if spent >= self.amount * WARN_AT else Standing.WITHIN

    def refusal(self, month: str) -> ApiError:
        """Event sources and queued events take it as any throttle: they keep what they have, and try later. SDKs try
        a few times, and give up: Retry-After is that of all throttles, since some would wait until the month ends.
        """
        return ApiError(
            "TooManyRequestsException",
            f"The budget of {self.scope.name} for {month}, ${self.amount:f}, is used up. Invocations go on next month, "
            "or with another budget: see lambent bill budget.",
            members={"Reason": "CallerRateLimitExceeded", "Type": "User"},
            headers={"Retry-After": "1"},
        )
