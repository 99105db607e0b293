"""How SNS delivers here: to queues and functions of the server, in place of those in moto's memory.

Publish is answered when the message is in every queue and every event is accepted, so what a topic took is as safe as
what it was sent to. A target that refuses gets nothing; its redrive policy's queue does. Imported where moto runs.
"""

import base64
import hashlib
import json
import logging
import re
from collections.abc import Mapping
from typing import Any, Final

from moto.moto_api._internal import mock_random
from moto.sns import models
from moto.sns.exceptions import SNSInvalidParameter

from lambent.services.neighbours.carried import SNS
from lambent.services.neighbours.outward import Outward, Refused, Reply, failures

logger = logging.getLogger(__name__)

RAW_ATTRIBUTES: Final = 10
"""More of them in a raw message, and AWS discards it."""
_ENDPOINTS: Final = {
    "sqs": ("SQS", re.compile(r"arn:[a-z-]+:sqs:[a-z0-9-]+:\d{12}:[\w-]+(\.fifo)?", re.ASCII)),
    "lambda": ("Lambda", re.compile(r"arn:[a-z-]+:lambda:[a-z0-9-]+:\d{12}:function:[\w-]+(:[\w$-]+)?", re.ASCII)),
}
_ORDER: Final = ("Type", "MessageId", "TopicArn", "Subject", "Message", "Timestamp", "SignatureVersion", "Signature")


def install(outward: Outward) -> None:
    """From now on, for every topic."""

    def publish(
        topic: Any,
        message: str,
        subject: str | None = None,
        message_attributes: dict[str, Any] | None = None,
        group_id: str | None = None,
        deduplication_id: str | None = None,
        message_structure: str | None = None,
    ) -> str:
        message_id = str(mock_random.uuid4())
        if topic.fifo_topic and not deduplication_id:
            deduplication_id = hashlib.sha256(message.encode()).hexdigest()
        begun: list[tuple[Any, Mapping[str, Any], Reply]] = []
        for subscription in topic.sns_backend._get_topic_subscriptions(topic):
            if subscription.protocol not in ("sqs", "lambda"):
                subscription.publish(message, message_id, subject, message_attributes, group_id, deduplication_id,
                                     message_structure)  # fmt: skip
                continue
            matcher = subscription._filter_policy_matcher
            if matcher is not None and not matcher.matches(message_attributes, message):
                continue
            text = message
            if message_structure == "json":
                text = subscription._parse_message_structure(message, subscription.protocol)
            envelope = _envelope(subscription, text, message_id, subject, message_attributes)
            order = (group_id, deduplication_id)
            if subscription.protocol == "lambda":
                begun.append((subscription, envelope, _invoke(outward, subscription, envelope)))
            else:
                sent = _for_queue(subscription, envelope, order)
                begun.append((subscription, sent, _send(outward, subscription.endpoint, sent, topic.arn)))
        _redrive(outward, topic.arn, begun)
        return message_id

    models.Topic.publish = publish  # type: ignore[method-assign, assignment]
    subscribed = models.SNSBackend.subscribe

    def subscribe(backend: Any, topic_arn: str, endpoint: str, protocol: str) -> models.Subscription:
        wanted = _ENDPOINTS.get(protocol)
        if wanted is not None and not wanted[1].fullmatch(endpoint):
            raise SNSInvalidParameter(f"Invalid parameter: {wanted[0]} endpoint ARN")
        return subscribed(backend, topic_arn, endpoint, protocol)

    models.SNSBackend.subscribe = subscribe  # type: ignore[method-assign, assignment]
    vars(models)["sqs_backends"] = _Queues()


def _redrive(outward: Outward, topic_arn: str, begun: list[tuple[Any, Mapping[str, Any], Reply]]) -> None:
    """Wait for all. What a target refuses goes to the dead-letter queue of its subscription."""
    dead: list[Reply] = []
    for (subscription, sent, _), error in zip(begun, failures(reply for _, _, reply in begun), strict=True):
        if error is None:
            continue
        policy = subscription.attributes.get("RedrivePolicy")
        queue = json.loads(policy).get("deadLetterTargetArn") if policy else None
        logger.warning(
            "SNS: %s does not take a message of %s%s: %s",
            *(subscription.endpoint, topic_arn, f" (it goes to {queue})" if queue else "", error),
        )
        if queue:
            message = sent if "MessageBody" in sent else {"MessageBody": _pretty(sent)}
            dead.append(_send(outward, queue, message, topic_arn))
    for refused in failures(dead):
        if refused is not None:
            logger.warning("SNS: a dead-letter queue of %s does not take a message: %s", topic_arn, refused)


def _envelope(
    subscription: Any, message: str, message_id: str, subject: str | None, attributes: dict[str, Any] | None
) -> dict[str, Any]:
    """As HTTP and SQS get it, in AWS's order of members."""
    made = subscription.get_post_data(message, message_id, subject, message_attributes=attributes)
    region = subscription.topic.arn.split(":")[3]
    made["UnsubscribeURL"] = (
        f"https://sns.{region}.amazonaws.com/?Action=Unsubscribe&SubscriptionArn={subscription.arn}"
    )
    return {name: made[name] for name in (*_ORDER, *made) if name in made}


def _pretty(envelope: Mapping[str, Any]) -> str:
    return json.dumps(envelope, indent=2, separators=(",", " : "), ensure_ascii=False)


def _for_queue(subscription: Any, envelope: Mapping[str, Any], order: tuple[str | None, str | None]) -> dict[str, Any]:
    """The parameters of SendMessage, without the queue."""
    found: dict[str, Any] = {"MessageBody": _pretty(envelope)}
    if str(subscription.attributes.get("RawMessageDelivery")).lower() == "true":
        found["MessageBody"] = envelope["Message"]
        attributes = envelope.get("MessageAttributes") or {}
        if attributes:
            found["MessageAttributes"] = {name: _raw(value) for name, value in attributes.items()}
    group_id, deduplication_id = order
    if group_id:
        found["MessageGroupId"] = group_id
    if deduplication_id and subscription.endpoint.endswith(".fifo"):
        found["MessageDeduplicationId"] = deduplication_id
    return found


def _raw(attribute: Mapping[str, Any]) -> dict[str, Any]:
    if attribute["Type"].startswith("Binary"):
        return {"DataType": attribute["Type"], "BinaryValue": base64.b64decode(attribute["Value"])}
    return {"DataType": attribute["Type"], "StringValue": str(attribute["Value"])}


def _send(outward: Outward, queue_arn: str, message: Mapping[str, Any], topic_arn: str) -> Reply:
    if len(message.get("MessageAttributes", ())) > RAW_ATTRIBUTES:
        refused = Reply()
        refused.set_exception(Refused("InvalidParameterValue", f"more than {RAW_ATTRIBUTES} message attributes"))
        return refused
    _, _, _, region, account, name = queue_arn.split(":", 5)
    return outward.begin(
        "sqs",
        "SendMessage",
        {"QueueUrl": f"http://localhost/{account}/{name}", **message},
        account=account,
        region=region,
        principal=SNS,
        source_arn=topic_arn,
    )


def _invoke(outward: Outward, subscription: Any, envelope: Mapping[str, Any]) -> Reply:
    notice = {
        **{name: envelope.get(name) for name in _ORDER},
        "SigningCertUrl": envelope["SigningCertURL"],
        "UnsubscribeUrl": envelope["UnsubscribeURL"],
        "MessageAttributes": envelope.get("MessageAttributes", {}),
    }
    record = {
        "EventSource": "aws:sns",
        "EventVersion": "1.0",
        "EventSubscriptionArn": subscription.arn,
        "Sns": notice,
    }
    _, _, _, region, account, _ = subscription.endpoint.split(":", 5)
    return outward.begin(
        "lambda",
        "Invoke",
        {
            "FunctionName": subscription.endpoint,
            "InvocationType": "Event",
            "Payload": json.dumps({"Records": [record]}, ensure_ascii=False).encode(),
        },
        account=account,
        region=region,
        principal=SNS,
        source_arn=subscription.topic.arn,
    )


class _Queues:
    """In place of moto's queues where Subscribe looks at one: names tell all that it asks."""

    def __getitem__(self, _account_or_region: str) -> "_Queues":
        return self

    def get_queue(self, name: str) -> "_Queue":
        return _Queue(name)


class _Queue:
    def __init__(self, name: str) -> None:
        self.fifo_queue = name.endswith(".fifo")
