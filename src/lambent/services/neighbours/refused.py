"""What moto would do with functions in its own memory, where nobody can invoke them: refused with 501, by name.

Subscriptions and targets that are functions are refused too, because with one of them moto fails every later Publish to
the topic, and every PutEvents that the rule matches.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

import orjson

from lambent.aws.errors import ApiError
from lambent.aws.outside import OutsideRequest

REFUSED: Final[Mapping[str, str]] = {
    "cloudformation": "CloudFormation is not built by Lambent yet: moto, which answers other services here, would make"
    " the functions of a stack in its own memory, where nothing can invoke them. Create functions with the API of"
    " Lambda, or with Terraform."
}
"""Whole services, by the name that requests are signed for: why, and what to do instead."""


def refuse(request: OutsideRequest) -> None:
    """Raise `ApiError` 501 when the request is one of these."""
    reason = REFUSED.get(request.service)
    if request.service == "sns" and _subscribes_a_function(request.body):
        reason = "Subscribe with Protocol lambda is not built by Lambent yet: topics do not invoke functions."
    if request.service == "events" and _targets_a_function(request):
        reason = "PutTargets with a function is not built by Lambent yet: rules do not invoke functions."
    if reason is not None:
        raise ApiError("NotImplementedException", reason, status=501)


def _subscribes_a_function(body: bytes) -> bool:
    if b"Subscribe" not in body:
        return False
    form = dict(parse_qsl(body.decode(errors="replace")))
    return form.get("Action") == "Subscribe" and form.get("Protocol") == "lambda"


def _targets_a_function(request: OutsideRequest) -> bool:
    if not request.headers.get("x-amz-target", "").endswith(".PutTargets"):
        return False
    try:
        targets = orjson.loads(request.body)["Targets"]
        return any(":lambda:" in target["Arn"] for target in targets)
    except (ValueError, LookupError, TypeError):
        # moto says what is wrong with it.
        return False
