"""Requests that name a resource of another account, where moto would act on it. Pure.

Access over accounts needs a policy of the resource, and moto evaluates none. Most of its services look in the caller's
account alone; SNS goes where the ARN says.
"""

from typing import Final
from urllib.parse import parse_qsl

from lambent.aws.errors import ApiError
from lambent.aws.outside import OutsideRequest

_NAMED: Final = frozenset(
    {"TopicArn", "TargetArn", "SubscriptionArn", "ResourceArn", "PlatformApplicationArn", "EndpointArn"}
)


def refuse_foreign(request: OutsideRequest) -> None:
    """Raise `ApiError` 403 when the request is about a topic of another account."""
    if request.service != "sns":
        return
    # Each place that moto reads, and each value of a member that is named twice.
    for name, value in [*parse_qsl(request.query), *parse_qsl(request.body.decode("utf-8", "replace"))]:
        parts = value.split(":", 5)
        if name in _NAMED and len(parts) == 6 and parts[4] != request.account:
            text = (
                f"Not authorized: {value[:300]} belongs to another account, and policies of topics are not evaluated."
            )
            raise ApiError("AuthorizationError", text, status=403)
