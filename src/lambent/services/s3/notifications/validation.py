"""A NotificationConfiguration as it may be kept, or AWS's reason why not. Pure; destinations are asked elsewhere.

The order of the checks is AWS's: an ARN that is none is told first, whatever else is wrong.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any, Final

from lambent.aws.arn import Arn
from lambent.services.s3.errors import invalid_argument, malformed_xml
from lambent.services.s3.notifications.rules import LISTS, Document, Rule, covers, filter_rules, rules_of

MAX_CONFIGURATIONS: Final = 100
MAX_ID: Final = 255
_OF: Final = {
    "ObjectCreated": ("*", "Put", "Post", "Copy", "CompleteMultipartUpload"),
    "ObjectRemoved": ("*", "Delete", "DeleteMarkerCreated"),
    "ObjectRestore": ("*", "Post", "Completed", "Delete"),
    "Replication": (
        *("*", "OperationFailedReplication", "OperationNotTracked", "OperationMissedThreshold"),
        "OperationReplicatedAfterThreshold",
    ),
    "LifecycleExpiration": ("*", "Delete", "DeleteMarkerCreated"),
    "ObjectTagging": ("*", "Put", "Delete"),
    "ObjectAnnotation": ("*", "Put", "Delete"),
    "ObjectAcl": ("Put",),
    "ObjectRetention": ("Put",),
}
EVENTS: Final = frozenset(
    {f"s3:{kind}:{what}" for kind, names in _OF.items() for what in names}
    | {"s3:ReducedRedundancyLostObject", "s3:LifecycleTransition", "s3:IntelligentTiering"}
)
OVERLAP: Final = "Configurations overlap. Configurations on the same bucket cannot share a common event type."


def checked(given: Document, new_id: Callable[[], str]) -> dict[str, Any]:
    """The document to keep: filter names in AWS's spelling, an id for every configuration."""
    for member, (arn, element, service) in LISTS.items():
        for each in given.get(member) or ():
            _check_arn(each.get(arn), element, service)
    kept: dict[str, Any] = {}
    for member, (arn, _, _) in LISTS.items():
        if listed := given.get(member):
            kept[member] = [_configuration(each, arn, new_id) for each in listed]
    if given.get("EventBridgeConfiguration") is not None:
        kept["EventBridgeConfiguration"] = {}
    rules = rules_of(kept).rules
    if len(rules) > MAX_CONFIGURATIONS:
        raise malformed_xml()
    ids = [rule.id for rule in rules]
    if len(set(ids)) != len(ids):
        again = next(id for id in ids if ids.count(id) > 1)
        raise invalid_argument("Same ID used for multiple configurations. IDs must be unique", "Id", again)
    _refuse_overlaps(rules)
    return kept


def _check_arn(arn: str | None, element: str, service: str) -> None:
    if arn is None:
        raise malformed_xml()
    try:
        parsed = Arn.parse(arn)
    except ValueError:
        parsed = None
    if parsed is None or parsed.service != service or not parsed.region or not parsed.account or not parsed.resource:
        raise invalid_argument("The ARN could not be parsed", element, arn)


def _configuration(given: Mapping[str, Any], arn: str, new_id: Callable[[], str]) -> dict[str, Any]:
    events = given.get("Events")
    if not events:
        raise malformed_xml()
    for event in events:
        if event not in EVENTS:
            raise invalid_argument("The event is not supported for notifications", "Event", event)
    id = given.get("Id") or new_id()
    if len(id) > MAX_ID:
        raise invalid_argument("The Id of a configuration can have at most 255 characters", "Id", id)
    kept: dict[str, Any] = {"Id": id, arn: given[arn], "Events": list(events)}
    rules = [_filter_rule(rule) for rule in filter_rules(given)]
    names = [rule["Name"] for rule in rules]
    if len(set(names)) != len(names):
        text = "Cannot specify more than one prefix or suffix rule in a filter."
        raise invalid_argument(text, "FilterRule.Name", next(name for name in names if names.count(name) > 1).lower())
    if given.get("Filter") is not None:
        kept["Filter"] = {"Key": {"FilterRules": rules}}
    return kept


def _filter_rule(given: Mapping[str, Any]) -> dict[str, str]:
    name, value = given.get("Name"), given.get("Value")
    if name is None or value is None:
        raise malformed_xml()
    if name.lower() not in ("prefix", "suffix"):
        raise invalid_argument("filter rule name must be either prefix or suffix", "FilterRule.Name", name)
    if len(value) > 1024:
        raise invalid_argument("Size of filter rule value cannot exceed 1024 bytes in UTF-8", "FilterRule.Value", value)
    return {"Name": name.capitalize(), "Value": value}


def _refuse_overlaps(rules: Sequence[Rule]) -> None:
    for rule in rules:
        if any(covers(one, other) or covers(other, one) for one, other in combinations(rule.events, 2)):
            raise invalid_argument(OVERLAP, "Events", ",".join(rule.events))
    for one, other in combinations(rules, 2):
        shared = any(covers(a, b) or covers(b, a) for a in one.events for b in other.events)
        if shared and _overlap(one, other):
            raise invalid_argument(OVERLAP, "Id", other.id)


def _overlap(one: Rule, other: Rule) -> bool:
    """Whether a key can have both prefixes and both suffixes."""
    prefixes = one.prefix.startswith(other.prefix) or other.prefix.startswith(one.prefix)
    suffixes = one.suffix.endswith(other.suffix) or other.suffix.endswith(one.suffix)
    return prefixes and suffixes
