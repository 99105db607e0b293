"""Who is told of which change: the rules of a bucket's notification configuration. Pure.

A document has the shape of the model's NotificationConfiguration; a rule is one of its configurations.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

Document = Mapping[str, Any]

LISTS: Final = {
    "TopicConfigurations": ("TopicArn", "Topic", "sns"),
    "QueueConfigurations": ("QueueArn", "Queue", "sqs"),
    "LambdaFunctionConfigurations": ("LambdaFunctionArn", "CloudFunction", "lambda"),
}
"""Member of the document: the member with the ARN, its element in XML, the service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    id: str
    service: str
    """sns | sqs | lambda"""
    arn: str
    events: tuple[str, ...]
    """As configured, with `s3:`."""
    prefix: str = ""
    suffix: str = ""

    def tells(self, event: str, key: str) -> bool:
        """`event` without `s3:`; the key as it is, not encoded."""
        return (
            any(covers(configured, f"s3:{event}") for configured in self.events)
            and key.startswith(self.prefix)
            and key.endswith(self.suffix)
        )


@dataclass(frozen=True, slots=True)
class Rules:
    rules: tuple[Rule, ...]
    event_bridge: bool


def covers(configured: str, event: str) -> bool:
    """Whether a configured type, `s3:ObjectCreated:*` or exact, includes the other."""
    return configured == event or (configured.endswith("*") and event.startswith(configured[:-1]))


def rules_of(document: Document) -> Rules:
    return Rules(tuple(_rules(document)), document.get("EventBridgeConfiguration") is not None)


def _rules(document: Document) -> Iterator[Rule]:
    for member, (arn, _, service) in LISTS.items():
        for each in document.get(member) or ():
            filters = {rule["Name"].lower(): rule["Value"] for rule in filter_rules(each)}
            yield Rule(
                id=each.get("Id") or "",
                service=service,
                arn=each[arn],
                events=tuple(each["Events"]),
                prefix=filters.get("prefix", ""),
                suffix=filters.get("suffix", ""),
            )


def filter_rules(configuration: Mapping[str, Any]) -> list[dict[str, Any]]:
    key = (configuration.get("Filter") or {}).get("Key") or {}
    return [dict(rule) for rule in key.get("FilterRules") or ()]
