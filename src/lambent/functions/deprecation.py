"""Runtimes that functions may not be created with, or updated on, from a day on.

AWS blocks a runtime some time after it is deprecated. Here the days are a table of the user's; without one none is
refused, because what runs here is up to this machine.
"""

from collections.abc import Mapping
from datetime import date

from lambent.aws.errors import invalid_parameter

Deprecations = Mapping[str, date]
"""By runtime identifier: the first day on which it is refused, in UTC."""


def refuse_deprecated(runtime: str | None, today: date, deprecations: Deprecations) -> None:
    day = deprecations.get(runtime or "")
    if day is not None and today >= day:
        raise invalid_parameter(
            f"The runtime parameter of {runtime} is no longer supported for creating or updating AWS Lambda functions."
            " We recommend you use a supported runtime while creating or updating functions."
        )
