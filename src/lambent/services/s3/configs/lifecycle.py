"""A lifecycle configuration: checked as AWS does, as rules, and what they say of one object. Pure.

The loop that acts on it is elsewhere. Days are counted to the midnight (UTC) after they have passed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from lambent.core.ids import uuid4
from lambent.services.s3.errors import invalid_argument, invalid_request, malformed_xml

MAX_RULES: Final = 1000
SHORTEST_DAYS: Final = 30
_AFTER_30: Final = frozenset({"STANDARD_IA", "ONEZONE_IA"})
"""Classes in which an object is not before it is so old."""
DAY_MS: Final = 86_400_000
SMALLEST: Final = "all_storage_classes_128K"
_BY_CLASS: Final = "varies_by_storage_class"
_SMALLEST: Final = (SMALLEST, _BY_CLASS)
_FILTERS: Final = ("Prefix", "Tag", "ObjectSizeGreaterThan", "ObjectSizeLessThan", "And")
_ACTIONS: Final = (
    *("Expiration", "Transitions", "NoncurrentVersionTransitions", "NoncurrentVersionExpiration"),
    "AbortIncompleteMultipartUpload",
)
_CLASSES: Final = frozenset(
    {"GLACIER", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "DEEP_ARCHIVE", "GLACIER_IR"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    storage_class: str
    days: int | None = None
    date_ms: int | None = None
    newer: int = 0
    """Of noncurrent versions: so many newer ones stay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LifecycleRule:
    """An enabled rule. None: it has no such action."""

    id: str
    prefix: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    larger_than: int | None = None
    smaller_than: int | None = None
    expiration_days: int | None = None
    expiration_date_ms: int | None = None
    expired_markers: bool = False
    noncurrent_days: int | None = None
    noncurrent_newer: int = 0
    """So many noncurrent versions stay, however old."""
    abort_days: int | None = None
    transitions: tuple[Transition, ...] = ()
    noncurrent_transitions: tuple[Transition, ...] = ()
    small_to_archives: bool = False
    """Whether small objects are moved too, where they go to an archive."""

    def is_about(self, key: str, size: int, tags: Mapping[str, str]) -> bool:
        return (
            key.startswith(self.prefix)
            and (self.larger_than is None or size > self.larger_than)
            and (self.smaller_than is None or size < self.smaller_than)
            and all(tags.get(name) == value for name, value in self.tags.items())
        )

    def expires_ms(self, modified_ms: int) -> int | None:
        """When an object that was written then expires."""
        if self.expiration_date_ms is not None:
            return self.expiration_date_ms
        return None if self.expiration_days is None else due_ms(modified_ms, self.expiration_days)


def due_ms(since_ms: int, days: int) -> int:
    """The first midnight (UTC) after so many days."""
    return (since_ms + days * DAY_MS) // DAY_MS * DAY_MS + DAY_MS


def expiration(rules: Sequence[LifecycleRule], key: str, size: int, tags: Mapping[str, str], modified_ms: int) -> str:
    """`x-amz-expiration` of the current version; empty: it does not expire."""
    due = [
        (at_ms, rule.id)
        for rule in rules
        if (at_ms := rule.expires_ms(modified_ms)) is not None and rule.is_about(key, size, tags)
    ]
    if not due:
        return ""
    at_ms, rule_id = min(due, key=lambda each: each[0])
    date = datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    return f'expiry-date="{date}", rule-id="{quote(rule_id, safe="")}"'


def rules_of(document: Mapping[str, Any]) -> tuple[LifecycleRule, ...]:
    """Of what `checked` returned."""
    by_class = document.get("TransitionDefaultMinimumObjectSize") == _BY_CLASS
    return tuple(_rule(each, by_class) for each in document["Rules"] if each["Status"] == "Enabled")


def _rule(given: Mapping[str, Any], small_to_archives: bool) -> LifecycleRule:
    one = given.get("Filter") or {}
    both = one.get("And") or {}
    tags = [one["Tag"]] if one.get("Tag") else both.get("Tags") or ()
    expiring = given.get("Expiration") or {}
    old = given.get("NoncurrentVersionExpiration") or {}
    return LifecycleRule(
        id=given["ID"],
        prefix=given.get("Prefix") or one.get("Prefix") or both.get("Prefix") or "",
        tags={tag["Key"]: tag["Value"] for tag in tags},
        larger_than=_first(one, both, "ObjectSizeGreaterThan"),
        smaller_than=_first(one, both, "ObjectSizeLessThan"),
        expiration_days=expiring.get("Days"),
        expiration_date_ms=_date_ms(expiring),
        expired_markers=bool(expiring.get("ExpiredObjectDeleteMarker")),
        noncurrent_days=old.get("NoncurrentDays", 0 if old else None),
        noncurrent_newer=old.get("NewerNoncurrentVersions") or 0,
        abort_days=(given.get("AbortIncompleteMultipartUpload") or {}).get("DaysAfterInitiation"),
        transitions=tuple(
            Transition(storage_class=each["StorageClass"], days=each.get("Days"), date_ms=_date_ms(each))
            for each in given.get("Transitions") or ()
        ),
        noncurrent_transitions=tuple(
            Transition(
                storage_class=each["StorageClass"],
                days=each.get("NoncurrentDays"),
                newer=each.get("NewerNoncurrentVersions") or 0,
            )
            for each in given.get("NoncurrentVersionTransitions") or ()
        ),
        small_to_archives=small_to_archives,
    )


def _first(one: Mapping[str, Any], both: Mapping[str, Any], name: str) -> int | None:
    found = one.get(name) if one.get(name) is not None else both.get(name)
    return None if found is None else int(found)


def _date_ms(action: Mapping[str, Any]) -> int | None:
    date = action.get("Date")
    return None if date is None else int(datetime.fromisoformat(date).timestamp() * 1000)


def smallest(given: str | None) -> str:
    """TransitionDefaultMinimumObjectSize, which comes beside the document."""
    if given is not None and given not in _SMALLEST:
        raise invalid_request(f"Invalid TransitionDefaultMinimumObjectSize found: {given}")
    return given or SMALLEST


def checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept: dates as text, an id for every rule."""
    rules = given.get("Rules") or ()
    if not 1 <= len(rules) <= MAX_RULES:
        raise malformed_xml()
    kept = [_checked(rule) for rule in rules]
    ids = [rule["ID"] for rule in kept]
    for id in ids:
        if ids.count(id) > 1:
            raise invalid_argument("Rule ID must be unique. Found same ID for more than one rule", "ID", id)
    return {"Rules": kept}


def _checked(given: Mapping[str, Any]) -> dict[str, Any]:
    rule = {name: value for name, value in given.items() if value is not None}
    if rule.get("Status") not in ("Enabled", "Disabled") or not any(rule.get(name) for name in _ACTIONS):
        raise malformed_xml()
    if ("Filter" in rule) == ("Prefix" in rule):
        raise malformed_xml()
    if "Filter" in rule:
        _check_filter(rule["Filter"])
    id = rule.get("ID") or uuid4()
    if len(id) > 255:
        raise invalid_argument("ID length should not exceed allowed limit of 255", "ID", id)
    rule["ID"] = id
    if "Expiration" in rule:
        rule["Expiration"] = _expiration(rule["Expiration"])
    if "NoncurrentVersionExpiration" in rule:
        _check_noncurrent(rule["NoncurrentVersionExpiration"])
    if "Transitions" in rule:
        rule["Transitions"] = [_transition(each) for each in rule["Transitions"]]
    _check_order(rule)
    for each in rule.get("NoncurrentVersionTransitions") or ():
        if each.get("StorageClass") not in _CLASSES or not each.get("NoncurrentDays"):
            raise malformed_xml()
    if "AbortIncompleteMultipartUpload" in rule:
        days = rule["AbortIncompleteMultipartUpload"].get("DaysAfterInitiation")
        _positive(days, "'DaysAfterInitiation' for AbortIncompleteMultipartUpload action", "DaysAfterInitiation")
        if rule.get("Filter") and any(rule["Filter"].get(name) for name in ("Tag", "And")):
            both = rule["Filter"].get("And") or {}
            if rule["Filter"].get("Tag") or both.get("Tags"):
                raise invalid_request("AbortIncompleteMultipartUpload cannot be specified with Tags.")
    return rule


def _check_filter(given: Mapping[str, Any]) -> None:
    named = [name for name in _FILTERS if given.get(name) is not None]
    if len(named) > 1:
        raise malformed_xml()
    if named == ["And"]:
        both = given["And"]
        keys = [tag["Key"] for tag in both.get("Tags") or ()]
        if len(set(keys)) != len(keys):
            raise invalid_request("Duplicate Tag Keys are not allowed.")
        parts = [name for name in _FILTERS if both.get(name) is not None]
        if len(parts) + len(keys) < 2:
            raise malformed_xml()
        larger, smaller = both.get("ObjectSizeGreaterThan"), both.get("ObjectSizeLessThan")
        if larger is not None and smaller is not None and larger >= smaller:
            raise invalid_request("'ObjectSizeGreaterThan' should be less than 'ObjectSizeLessThan'")


def _expiration(given: Mapping[str, Any]) -> dict[str, Any]:
    named = [name for name in ("Days", "Date", "ExpiredObjectDeleteMarker") if given.get(name) is not None]
    if len(named) != 1:
        raise malformed_xml()
    if named == ["Days"]:
        _positive(given["Days"], "'Days' for Expiration action", "Days")
    kept = {name: given[name] for name in named}
    return kept | ({"Date": _midnight(given["Date"])} if named == ["Date"] else {})


def _transition(given: Mapping[str, Any]) -> dict[str, Any]:
    named = [name for name in ("Days", "Date") if given.get(name) is not None]
    if len(named) != 1 or given.get("StorageClass") not in _CLASSES:
        raise malformed_xml()
    if given.get("Days") is not None and given["Days"] < 0:
        raise invalid_argument("'Days' in Transition action must be nonnegative", "Days", given["Days"])
    if given.get("Days") is not None and given["StorageClass"] in _AFTER_30 and given["Days"] < SHORTEST_DAYS:
        text = f"'Days' in Transition action must be greater than or equal to {SHORTEST_DAYS} for storageClass"
        raise invalid_argument(f"{text} '{given['StorageClass']}'", "Days", given["Days"])
    kept = {name: value for name, value in given.items() if value is not None}
    return kept | ({"Date": _midnight(given["Date"])} if named == ["Date"] else {})


def _check_order(rule: Mapping[str, Any]) -> None:
    days = rule.get("Expiration", {}).get("Days")
    if days is None or all(each.get("Days") is None or each["Days"] < days for each in rule.get("Transitions", ())):
        return
    within = rule.get("Filter") or {}
    prefix = rule.get("Prefix") or within.get("Prefix") or (within.get("And") or {}).get("Prefix") or ""
    text = f"'Days' in the Expiration action for filter '(prefix={prefix})' must be greater than 'Days' in the"
    raise invalid_argument(f"{text} Transition action", "Days", days)


def _check_noncurrent(given: Mapping[str, Any]) -> None:
    days, newer = given.get("NoncurrentDays"), given.get("NewerNoncurrentVersions")
    if days is None:
        raise malformed_xml()
    _positive(days, "'NoncurrentDays' for NoncurrentVersionExpiration action", "NoncurrentDays")
    if newer is not None and not 1 <= newer <= 100:
        text = "'NewerNoncurrentVersions' for NoncurrentVersionExpiration action must be between 1 and 100"
        raise invalid_argument(text, "NewerNoncurrentVersions", newer)


def _positive(number: int | None, what: str, name: str) -> None:
    if number is None:
        raise malformed_xml()
    if number < 1:
        raise invalid_argument(f"{what} must be a positive integer", name, number)


def _midnight(date: datetime | str) -> str:
    moment = datetime.fromisoformat(date) if isinstance(date, str) else date
    moment = moment.astimezone(UTC) if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    if (moment.hour, moment.minute, moment.second, moment.microsecond) != (0, 0, 0, 0):
        shown = moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
        raise invalid_argument("'Date' must be at midnight GMT", "Date", shown)
    return moment.isoformat()
