"""How EventBridge delivers here: to queues, functions, topics and log groups of the server.

PutEvents is answered when each target has what the rule sends it. A target that refuses gets nothing; its dead-letter
queue does. Buses and archives stay moto's. Imported where moto runs.
"""

import copy
import json
import logging
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from moto.events import models
from moto.events.utils import EventTemplateParser

from lambent.services.neighbours.carried import EVENTS
from lambent.services.neighbours.outward import WAIT_S, Outward, Reply, failures
from lambent.services.neighbours.refused import TARGETS

logger = logging.getLogger(__name__)

_MEMBERS: Final = ("version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail")


def install(outward: Outward) -> None:
    """From now on, for every rule."""
    others = models.Rule.send_to_targets

    def send_to_targets(rule: Any, original_event: Any, transform_input: bool = True) -> None:
        if rule.state == "DISABLED" or not rule.event_pattern.matches_event(original_event):
            return
        begun: list[tuple[Mapping[str, Any], str, Reply]] = []
        left: list[Mapping[str, Any]] = []
        for target in rule.targets:
            if target["Arn"].split(":")[2] not in TARGETS:
                left.append(target)
                continue
            text = sent(target, original_event)
            begun.append((target, text, _begin(outward, rule, target, text)))
        if left:
            rest = copy.copy(rule)
            rest.targets = left
            others(rest, original_event, transform_input)
        _bury(outward, rule, begun)

    models.Rule.send_to_targets = send_to_targets  # type: ignore[method-assign, assignment]


def sent(target: Mapping[str, Any], event: Mapping[str, Any]) -> str:
    """What this target gets of an event."""
    whole = {name: event[name] for name in _MEMBERS if name in event}
    moment = event.get("time")
    if isinstance(moment, int | float):
        whole["time"] = f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%SZ}"
    if "Input" in target:
        return str(target["Input"])
    if "InputPath" in target:
        return json.dumps(_at(target["InputPath"], whole))
    transformer = target.get("InputTransformer")
    if transformer:
        ingested = {**whole, "ingestion-time": event.get("ingestion-time")}
        template, paths = transformer.get("InputTemplate"), transformer.get("InputPathsMap", {})
        return json.dumps(EventTemplateParser.parse(template, paths, ingested))  # type: ignore[arg-type]
    return json.dumps(whole)


def _at(path: str, event: Any) -> Any:
    for name in path.removeprefix("$").split("."):
        if name:
            event = event.get(name) if isinstance(event, dict) else None
    return event


def _begin(outward: Outward, rule: Any, target: Mapping[str, Any], text: str) -> Reply:
    arn = target["Arn"]
    _, _, service, region, account, name = arn.split(":", 5)
    operation, parameters = "SendMessage", dict[str, Any]()
    match service:
        case "sqs":
            parameters = {"QueueUrl": f"http://localhost/{account}/{name}", "MessageBody": text}
            group = target.get("SqsParameters", {}).get("MessageGroupId")
            if group:
                parameters["MessageGroupId"] = group
        case "lambda":
            operation = "Invoke"
            parameters = {"FunctionName": arn, "InvocationType": "Event", "Payload": text.encode()}
        case "sns":
            operation, parameters = "Publish", {"TopicArn": arn, "Message": text}
        case _:
            return _log(outward, rule, arn, text)
    principal = target.get("RoleArn") if service != "lambda" else None
    return outward.begin(
        service,
        operation,
        parameters,
        account=account,
        region=region,
        principal=principal or EVENTS,
        source_arn=rule.arn,
    )


def _log(outward: Outward, rule: Any, arn: str, text: str) -> Reply:
    """One event is one stream, as moto has it; AWS's own names of streams are not published."""
    _, _, _, region, account, name = arn.split(":", 5)
    group, stream = name.removeprefix("log-group:").removesuffix(":*"), str(uuid.uuid4())
    where = {"account": account, "region": region, "principal": EVENTS, "source_arn": rule.arn}
    names = {"logGroupName": group, "logStreamName": stream}
    made = outward.begin("logs", "CreateLogStream", names, **where)
    if made.exception(WAIT_S) is not None:
        return made
    line = {"timestamp": int(time.time() * 1000), "message": text}
    return outward.begin("logs", "PutLogEvents", {**names, "logEvents": [line]}, **where)


def _bury(outward: Outward, rule: Any, begun: list[tuple[Mapping[str, Any], str, Reply]]) -> None:
    """Wait for all. What a target refuses goes to its dead-letter queue."""
    dead: list[Reply] = []
    for (target, text, _), error in zip(begun, failures(reply for _, _, reply in begun), strict=True):
        if error is None:
            continue
        queue = target.get("DeadLetterConfig", {}).get("Arn")
        logger.warning("EventBridge: %s does not take an event of %s: %s", target["Arn"], rule.arn, error)
        if queue:
            told = {
                "RULE_ARN": rule.arn,
                "TARGET_ARN": target["Arn"],
                "ERROR_CODE": error.code,
                "ERROR_MESSAGE": error.message or error.code,
            }
            dead.append(_send(outward, queue, rule.arn, {"MessageBody": text, "MessageAttributes": _texts(told)}))
    for refused in failures(dead):
        if refused is not None:
            logger.warning("EventBridge: a dead-letter queue of %s does not take an event: %s", rule.arn, refused)


def _send(outward: Outward, queue_arn: str, rule_arn: str, message: Mapping[str, Any]) -> Reply:
    _, _, _, region, account, name = queue_arn.split(":", 5)
    parameters = {"QueueUrl": f"http://localhost/{account}/{name}", **message}
    where = {"account": account, "region": region, "principal": EVENTS, "source_arn": rule_arn}
    return outward.begin("sqs", "SendMessage", parameters, **where)


def _texts(values: Mapping[str, str]) -> dict[str, Any]:
    return {name: {"DataType": "String", "StringValue": value} for name, value in values.items()}
