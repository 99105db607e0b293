"""Messages out of a dead-letter queue: StartMessageMoveTask, CancelMessageMoveTask, ListMessageMoveTasks."""

import base64
import json
import re
from typing import Any, Final

from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.services.sqs.api.access import Access
from lambent.services.sqs.api.errors import invalid, no_resource
from lambent.services.sqs.broker import Broker
from lambent.services.sqs.records import (
    AlreadyMoving,
    MoveTask,
    QueueKey,
    QueueMissing,
    QueueRecord,
    Status,
    TaskMissing,
)

MOST_PER_SECOND: Final = 500
MOST_LISTED: Final = 10
_ARN: Final = re.compile(r"arn:[^:]+:sqs:[^:]+:\d{12}:[A-Za-z0-9_-]{1,80}(?:\.fifo)?", re.ASCII)
_RUNNING: Final = (
    "There is already a task running. Only one active task is allowed for a source queue arn at a given time."
)
_FORM: Final = "arn:<partition>:<service>:<region>:<account-id>:<resource-id>"


class MoveApi:
    def __init__(self, broker: Broker, access: Access) -> None:
        self._broker = broker
        self._access = access

    def operations(self) -> Operations:
        return {
            "StartMessageMoveTask": self.start_message_move_task,
            "CancelMessageMoveTask": self.cancel_message_move_task,
            "ListMessageMoveTasks": self.list_message_move_tasks,
        }

    async def start_message_move_task(self, context: CallContext, parameters: Parameters) -> Result:
        source = self._queue(context, parameters["SourceArn"], "SourceArn", "StartMessageMoveTask")
        destination, rate = parameters.get("DestinationArn"), parameters.get("MaxNumberOfMessagesPerSecond")
        if rate is not None and not 1 <= rate <= MOST_PER_SECOND:
            raise invalid(
                "Value for parameter MaxNumberOfMessagesPerSecond is invalid. "
                "Reason: You must enter a number that's between 1 and 500."
            )
        target = None
        if destination is not None:
            if destination == source.key.arn:
                raise invalid("Source queue arn and destination queue arn cannot be the same.")
            target = self._queue(context, destination, "DestinationArn", "SendMessage")
        if not self._broker.sources_of(source.key):
            raise invalid("Source queue must be configured as a Dead Letter Queue.")
        if target is not None and target.fifo is not source.fifo:
            raise invalid("The source queue and destination queue must be of the same queue type.")
        try:
            task = await self._broker.start_move(
                source.key, destination=None if target is None else target.key, rate=rate
            )
        except QueueMissing:
            raise no_resource("SourceArn") from None
        except AlreadyMoving:
            raise invalid(_RUNNING) from None
        return {"TaskHandle": _handle(task)}

    async def cancel_message_move_task(self, context: CallContext, parameters: Parameters) -> Result:
        task_id, arn = _of_handle(parameters["TaskHandle"])
        key = QueueKey.of_arn(arn)
        if key is None or self._broker.get(key) is None:
            raise no_resource("SourceArn")
        source = self._access.of_key(context, key, "CancelMessageMoveTask")
        try:
            task = await self._broker.cancel_move(source.key, task_id)
        except (QueueMissing, TaskMissing):
            error = no_resource("SourceArn")
            error.message = "Task does not exist."
            raise error from None
        return {"ApproximateNumberOfMessagesMoved": task.moved}

    async def list_message_move_tasks(self, context: CallContext, parameters: Parameters) -> Result:
        source = self._queue(context, parameters["SourceArn"], "SourceArn", "ListMessageMoveTasks")
        most = parameters.get("MaxResults")
        if most is not None and not 1 <= most <= MOST_LISTED:
            raise invalid(
                "Value for parameter MaxResults is invalid. Reason: MaxResults must be an integer between 1 and 10."
            )
        return {"Results": [_shown(task) for task in self._broker.moves(source.key)[: most or 1]]}

    def _queue(self, context: CallContext, arn: str, parameter: str, operation: str) -> QueueRecord:
        key = QueueKey.of_arn(arn) if _ARN.fullmatch(arn) else None
        if key is None:
            raise invalid(f"You must use this format to specify the {parameter}: {_FORM}")
        if self._broker.get(key) is None or key.region != context.region:
            raise no_resource(parameter)
        return self._access.of_key(context, key, operation)


def _handle(task: MoveTask) -> str:
    document = json.dumps({"taskId": task.id, "sourceArn": task.source.arn}, separators=(",", ":"))
    return base64.b64encode(document.encode()).decode()


def _of_handle(handle: str) -> tuple[str, str]:
    try:
        document = json.loads(base64.b64decode(handle, validate=True))
        return str(document["taskId"]), str(document["sourceArn"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise invalid("Value for parameter TaskHandle is invalid.") from error


def _shown(task: MoveTask) -> dict[str, Any]:
    told: dict[str, Any] = {"Status": task.status.value, "SourceArn": task.source.arn}
    if task.status is Status.RUNNING:
        told["TaskHandle"] = _handle(task)
    if task.destination is not None:
        told["DestinationArn"] = task.destination.arn
    if task.rate is not None:
        told["MaxNumberOfMessagesPerSecond"] = task.rate
    told |= {
        "ApproximateNumberOfMessagesMoved": task.moved,
        "ApproximateNumberOfMessagesToMove": task.to_move,
        "StartedTimestamp": task.started_ms,
    }
    if task.status is Status.FAILED:
        told["FailureReason"] = task.failure
    return told
