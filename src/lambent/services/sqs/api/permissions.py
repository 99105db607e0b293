"""AddPermission, RemovePermission: statements of the queue's policy by label."""

import re
from collections.abc import Sequence
from typing import Any, Final

from lambent.aws.errors import ApiError
from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.services.sqs.api.access import SHARED, Access
from lambent.services.sqs.api.errors import invalid, invalid_value, missing, no_queue
from lambent.services.sqs.api.json_text import dumped, loaded
from lambent.services.sqs.broker import Broker
from lambent.services.sqs.records import QueueMissing, QueueRecord

MOST_ACTIONS: Final = 7
MOST_STATEMENTS: Final = 20
_LABEL: Final = re.compile(r"[A-Za-z0-9_-]{1,80}", re.ASCII)
_ACCOUNT: Final = re.compile(r"\d{12}", re.ASCII)
_OWNERS: Final = frozenset(
    {
        *("AddPermission", "RemovePermission", "CreateQueue", "DeleteQueue", "ListQueues", "SetQueueAttributes"),
        *("TagQueue", "UntagQueue", "ListQueueTags", "StartMessageMoveTask", "CancelMessageMoveTask"),
        "ListMessageMoveTasks",
    }
)


class PermissionApi:
    def __init__(self, broker: Broker, access: Access) -> None:
        self._broker = broker
        self._access = access

    def operations(self) -> Operations:
        return {"AddPermission": self.add_permission, "RemovePermission": self.remove_permission}

    async def add_permission(self, context: CallContext, parameters: Parameters) -> Result:
        queue = self._access.queue(context, parameters["QueueUrl"], "AddPermission")
        label: str = parameters["Label"]
        accounts, actions = parameters["AWSAccountIds"], parameters["Actions"]
        if not _LABEL.fullmatch(label):
            reason = "Label can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length."
            raise invalid_value(label, "Label", reason)
        _check(accounts, actions)
        policy = _policy(queue) or {
            "Version": "2008-10-17",
            "Id": f"{queue.key.arn}/SQSDefaultPolicy",
            "Statement": [],
        }
        statements = _statements(policy)
        if any(statement.get("Sid") == label for statement in statements):
            raise invalid_value(label, "Label", "Already exists.")
        if len(statements) >= MOST_STATEMENTS:
            found = len(statements) + 1
            text = f"{found} Statements were found, maximum allowed is {MOST_STATEMENTS}."
            raise ApiError("OverLimit", text)
        principals = [f"arn:aws:iam::{account}:root" for account in accounts]
        added = {
            "Sid": label,
            "Effect": "Allow",
            "Principal": {"AWS": _one_or_several(principals)},
            "Action": _one_or_several([f"SQS:{action}" for action in actions]),
            "Resource": queue.key.arn,
        }
        await self._put(queue, dumped({**policy, "Statement": [*statements, added]}))
        return {}

    async def remove_permission(self, context: CallContext, parameters: Parameters) -> Result:
        queue = self._access.queue(context, parameters["QueueUrl"], "RemovePermission")
        label: str = parameters["Label"]
        policy = _policy(queue)
        if policy is None:
            raise invalid_value(label, "Label", "can't find label.")
        statements = _statements(policy)
        kept = [statement for statement in statements if statement.get("Sid") != label]
        if len(kept) == len(statements):
            raise invalid_value(label, "Label", "can't find label on existing policy.")
        await self._put(queue, dumped({**policy, "Statement": kept}) if kept else None)
        return {}

    async def _put(self, queue: QueueRecord, policy: str | None) -> None:
        try:
            await self._broker.set_attributes(queue.key, {"Policy": policy})
        except QueueMissing:
            raise no_queue() from None


def _check(accounts: Sequence[str], actions: Sequence[str]) -> None:
    if not accounts:
        raise missing("AWSAccountId.1")
    if not actions:
        raise missing("ActionName.1")
    for action in actions:
        if action in _OWNERS:
            reason = "Only the queue owner is allowed to invoke this action."
            raise invalid_value(f"SQS:{action}", "ActionName", reason)
        if action != "*" and action not in SHARED:
            reason = "Please refer to the appropriate WSDL for a list of valid actions."
            raise invalid_value(f"SQS:{action}", "ActionName", reason)
    if len(actions) > MOST_ACTIONS:
        raise ApiError("OverLimit", f"{len(actions)} Actions were found, maximum allowed is {MOST_ACTIONS}.")
    strangers = [account for account in accounts if not _ACCOUNT.fullmatch(account)]
    if strangers:
        raise invalid(f"Value [{', '.join(strangers)}] for parameter PrincipalId is invalid. Reason: Unable to verify.")


def _policy(queue: QueueRecord) -> dict[str, Any] | None:
    text = queue.attributes.get("Policy")
    return None if text is None else loaded(text)


def _statements(policy: dict[str, Any]) -> list[dict[str, Any]]:
    found = policy.get("Statement", [])
    return found if isinstance(found, list) else [found]


def _one_or_several(values: list[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else values
