"""What follows from the end of an event: records for its destinations, a message for its dead-letter queue.

Pure: from an event, its configuration and its last result to messages of the queues. Destinations that are functions
get an event of their own; everything else is a delivery, made by `deliveries`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from lambent.environments.request import InvokeResult
from lambent.functions.records import EventInvokeConfig, FunctionVersion
from lambent.invocation import trace
from lambent.invocation.deliveries import Delivery
from lambent.invocation.events import Event
from lambent.invocation.failed_events import Failure
from lambent.invocation.payload import is_json
from lambent.invocation.recursion import STOPPED
from lambent.invocation.retry import Condition, End
from lambent.store.messages import NewMessage

MAX_ERROR_MESSAGE: Final = 1024
SWITCHED_OFF: Final = "Function not invoked. Function is configured with zero reserved concurrent executions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """An event that is done. `result` is what the last attempt gave; None when the function never answered."""

    event: Event
    payload: bytes
    end: End
    now_ms: int
    version: FunctionVersion | None = None
    result: InvokeResult | None = None


def follow_ups(ended: Ended, config: EventInvokeConfig | None) -> list[NewMessage]:
    """Messages to put in the commit that deletes the event."""
    succeeded = ended.end.condition is Condition.SUCCESS
    found: list[NewMessage] = []
    destination = config and (config.on_success if succeeded else config.on_failure)
    if destination:
        delivery = Delivery(
            account=ended.event.account,
            region=ended.event.region,
            function=ended.event.name,
            role=ended.version.role if ended.version else "",
            request_id=ended.event.request_id,
            target_arn=destination,
            kind="success" if succeeded else "failure",
            function_arn=ended.event.target_arn,
            ended_ms=ended.now_ms,
            trace_header=trace.passed_on(ended.event.trace_header, ended.event.key.arn),
        )
        found.append(delivery.message(record(ended)))
    if not succeeded and ended.version is not None and ended.version.dead_letter_arn:
        code, text = _error(ended)
        delivery = Delivery(
            account=ended.event.account,
            region=ended.event.region,
            function=ended.event.name,
            role=ended.version.role,
            request_id=ended.event.request_id,
            target_arn=ended.version.dead_letter_arn,
            kind="dead-letter",
            function_arn=ended.event.target_arn,
            ended_ms=ended.now_ms,
            trace_header=trace.passed_on(ended.event.trace_header, ended.event.key.arn),
            error_code=code,
            error_message=text,
        )
        found.append(delivery.message(ended.payload))
    return found


def failure_of(ended: Ended) -> Failure | None:
    """How the event failed, for the list of those that did; None: it did not."""
    if ended.end.condition is Condition.SUCCESS:
        return None
    return Failure(
        condition=ended.end.condition.value,
        ended_ms=ended.now_ms,
        error_type=error_of(ended.result)[0] if ended.result else None,
        error_message=_error(ended)[1],
    )


def record(ended: Ended) -> bytes:
    """The invocation record, in AWS's order of members."""
    event, end = ended.event, ended.end
    document: dict[str, Any] = {
        "version": "1.0",
        "timestamp": _timestamp(ended.now_ms),
        "requestContext": {
            "requestId": event.request_id,
            "functionArn": event.target_arn,
            "condition": end.condition.value,
            "approximateInvokeCount": end.attempts,
        },
        "requestPayload": orjson.Fragment(ended.payload),
    }
    if ended.result is not None and ended.version is not None:
        context: dict[str, Any] = {"statusCode": 200, "executedVersion": ended.version.version}
        if ended.result.error_type is not None:
            context["functionError"] = "Unhandled"
        document["responseContext"] = context
        document["responsePayload"] = _json(ended.result.payload)
    elif end.condition is not Condition.ZERO_RESERVED_CONCURRENCY and event.refused_status is not None:
        document["responseContext"] = {"statusCode": event.refused_status}
    return orjson.dumps(document)


def _json(payload: bytes) -> Any:
    """The response as it is; as text when a custom runtime answered something that is not JSON."""
    return orjson.Fragment(payload) if is_json(payload) else payload.decode(errors="replace")


def _error(ended: Ended) -> tuple[str | None, str]:
    """ErrorCode and ErrorMessage of the dead-letter queue."""
    if ended.end.condition is Condition.ZERO_RESERVED_CONCURRENCY:
        return None, SWITCHED_OFF
    if ended.end.condition is Condition.RECURSIVE_INVOCATION:
        return "400", STOPPED
    if ended.result is not None:
        return "200", error_of(ended.result)[1][:MAX_ERROR_MESSAGE]
    if ended.event.refused_status == 429:
        return "429", "Rate Exceeded."
    return None if ended.event.refused_status is None else str(ended.event.refused_status), ended.end.condition.value


def error_of(result: InvokeResult) -> tuple[str | None, str]:
    """Type and message of a failed result, as its answer tells them where it does."""
    try:
        document = orjson.loads(result.payload)
    except orjson.JSONDecodeError:
        return result.error_type, result.payload.decode(errors="replace")
    told = document if isinstance(document, dict) else {}
    kind, text = told.get("errorType"), told.get("errorMessage")
    return kind if isinstance(kind, str) and kind else result.error_type, text if isinstance(text, str) else ""


def _timestamp(epoch_ms: int) -> str:
    moment = datetime.fromtimestamp(epoch_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{epoch_ms % 1000:03d}Z"
