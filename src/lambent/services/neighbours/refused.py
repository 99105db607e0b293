"""What nothing here would carry out: refused with 501, by name.

A stack of CloudFormation would make functions in moto's memory, where nobody can invoke them. A rule with a target that
is not carried would fail every PutEvents that it matches.
"""

from collections.abc import Mapping
from typing import Final

import orjson

from lambent.aws.errors import ApiError
from lambent.aws.outside import OutsideRequest

REFUSED: Final[Mapping[str, str]] = {
    "cloudformation": "CloudFormation is not built by Lambent yet: moto, which answers other services here, would make"
    " the functions of a stack in its own memory, where nothing can invoke them. Create functions with the API of"
    " Lambda, or with Terraform."
}
"""Whole services, by the name that requests are signed for: why, and what to do instead."""
TARGETS: Final = frozenset({"sqs", "lambda", "sns", "logs"})
"""Of rules: services that the server reaches for EventBridge."""
_MOTOS_TARGETS: Final = frozenset({"events"})
"""Buses, archives and API destinations; the last fail, since nothing is sent to a URL."""


def refuse(request: OutsideRequest) -> None:
    """Raise `ApiError` 501 when the request is one of these."""
    reason = REFUSED.get(request.service)
    if request.service == "events":
        kind = _target_that_is_not_carried(request)
        if kind is not None:
            reason = f"PutTargets with a target of {kind} is not built by Lambent: rules reach {_REACHED}."
    if reason is not None:
        raise ApiError("NotImplementedException", reason, status=501)


_REACHED: Final = "queues, functions, topics, log groups and event buses"


def _target_that_is_not_carried(request: OutsideRequest) -> str | None:
    """Its service."""
    if not request.headers.get("x-amz-target", "").endswith(".PutTargets"):
        return None
    try:
        kinds = [str(target["Arn"]).split(":")[2] for target in orjson.loads(request.body)["Targets"]]
    except (ValueError, LookupError, TypeError):
        # moto says what is wrong with it.
        return None
    return next((kind for kind in kinds if kind not in TARGETS | _MOTOS_TARGETS), None)
