"""Attributes of queues: what may be set to what, what follows from it, and what is shown.

Pure. Values are text in the form in which they are shown; what is absent has its default.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from lambent.aws.errors import ApiError
from lambent.aws.policy.documents import parse
from lambent.aws.policy.text import PolicyError
from lambent.services.sqs.api.errors import bad_attribute, unknown_attribute
from lambent.services.sqs.api.json_text import compact
from lambent.services.sqs.records import Counts, QueueRecord

_RANGES: Final[Mapping[str, tuple[int, int]]] = {
    "VisibilityTimeout": (0, 43_200),
    "MaximumMessageSize": (1024, 1_048_576),
    "MessageRetentionPeriod": (60, 1_209_600),
    "DelaySeconds": (0, 900),
    "ReceiveMessageWaitTimeSeconds": (0, 20),
    "KmsDataKeyReusePeriodSeconds": (60, 86_400),
}
_BOOLEANS: Final = frozenset({"FifoQueue", "ContentBasedDeduplication", "SqsManagedSseEnabled"})
_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "DeduplicationScope": ("queue", "messageGroup"),
    "FifoThroughputLimit": ("perQueue", "perMessageGroupId"),
}
_POLICIES: Final = frozenset({"Policy", "RedrivePolicy", "RedriveAllowPolicy"})
CLEARABLE: Final = _POLICIES | {"KmsMasterKeyId"}
SETTABLE: Final = frozenset({*_RANGES, *_BOOLEANS, *_CHOICES, *CLEARABLE})
_FIFO_DEFAULTS: Final = {
    "ContentBasedDeduplication": "false",
    "DeduplicationScope": "queue",
    "FifoThroughputLimit": "perQueue",
}
_DEFAULTS: Final = {
    "DelaySeconds": "0",
    "MaximumMessageSize": "1048576",
    "MessageRetentionPeriod": "345600",
    "ReceiveMessageWaitTimeSeconds": "0",
    "SqsManagedSseEnabled": "true",
    "VisibilityTimeout": "30",
}
COUNTED: Final = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
_TOLD: Final = frozenset({*COUNTED, "CreatedTimestamp", "LastModifiedTimestamp", "QueueArn"})
_OPTIONAL: Final = ("Policy", "RedrivePolicy", "RedriveAllowPolicy", "KmsMasterKeyId")
_POLICY_BYTES: Final = 8192

Changes = dict[str, str | None]
"""None takes an attribute away."""


def changes(given: Mapping[str, str], *, fifo: bool, current: Mapping[str, str]) -> Changes:
    """What `given` does to a queue whose attributes are `current`. Raises `ApiError`; all or nothing.

    RedrivePolicy and RedriveAllowPolicy are the business of `redrive`.
    """
    found: Changes = {}
    for name, value in given.items():
        _check_known(name, fifo)
        if name != "FifoQueue":
            found[name] = _value(name, value)
    _encryption(found)
    after = {**_FIFO_DEFAULTS, **current, **{name: value for name, value in found.items() if value is not None}}
    if (
        found.get("FifoThroughputLimit", found.get("DeduplicationScope")) is not None
        and after["FifoThroughputLimit"] == "perMessageGroupId"
        and after["DeduplicationScope"] == "queue"
    ):
        raise bad_attribute(
            "FifoThroughputLimit",
            "The perMessageGroupId value is allowed only when the value for DeduplicationScope is messageGroup",
        )
    return found


def is_true(value: str) -> bool | None:
    """None for what is no boolean."""
    return {"true": True, "false": False}.get(value.lower())


def _check_known(name: str, fifo: bool) -> None:
    if name not in SETTABLE:
        raise unknown_attribute(name)
    if fifo:
        return
    if name in _CHOICES:
        text = f"You can specify the {name} only when FifoQueue is set to true."
        raise ApiError("InvalidAttributeName", text)
    if name in ("FifoQueue", "ContentBasedDeduplication"):
        raise unknown_attribute(name)


def _value(name: str, value: str) -> str | None:
    if name in CLEARABLE and value == "":
        return None
    if name in _RANGES:
        low, high = _RANGES[name]
        if not (value.isascii() and value.isdigit() and len(value) < 12 and low <= int(value) <= high):
            raise bad_attribute(name)
        return str(int(value))
    if name in _BOOLEANS:
        if is_true(value) is None:
            raise bad_attribute(name)
        return value.lower()
    if name in _CHOICES:
        if value not in _CHOICES[name]:
            raise bad_attribute(name)
        return value
    return _policy(value) if name == "Policy" else value


def _policy(value: str) -> str:
    try:
        if len(value) > _POLICY_BYTES:
            raise PolicyError("The policy is too long.")
        parse(value)
    except PolicyError as error:
        raise bad_attribute("Policy") from error
    return compact(value)


def _encryption(found: Changes) -> None:
    """A key and the queue's own encryption exclude each other; the last one that is set wins."""
    key, own = found.get("KmsMasterKeyId"), found.get("SqsManagedSseEnabled")
    if key is not None and own == "true":
        raise ApiError(
            "InvalidAttributeName",
            "You can use one type of server-side encryption (SSE) at one time. "
            "You can either enable KMS SSE or SQS SSE.",
        )
    if key is not None:
        found["SqsManagedSseEnabled"] = "false"
    elif own == "true":
        found |= {"KmsMasterKeyId": None, "KmsDataKeyReusePeriodSeconds": None}
    elif "KmsMasterKeyId" in found:
        found.setdefault("KmsDataKeyReusePeriodSeconds", None)


def check_names(names: Iterable[str], *, fifo: bool) -> None:
    for name in names:
        if name != "All" and name not in _TOLD and (name not in SETTABLE or (not fifo and name in _OF_FIFO)):
            raise unknown_attribute(name)


_OF_FIFO: Final = frozenset({"FifoQueue", *_FIFO_DEFAULTS})


def shown(queue: QueueRecord, counts: Counts | None = None) -> dict[str, str]:
    """All attributes of a queue. `counts`: None when nobody asks for them."""
    told = {
        "QueueArn": queue.key.arn,
        "CreatedTimestamp": str(queue.created_ms // 1000),
        "LastModifiedTimestamp": str(queue.modified_ms // 1000),
    }
    if counts is not None:
        told |= zip(COUNTED, map(str, counts), strict=True)
    own = queue.attributes
    told |= {name: own.get(name, default) for name, default in _DEFAULTS.items()}
    if queue.fifo:
        told |= {"FifoQueue": "true"} | {name: own.get(name, default) for name, default in _FIFO_DEFAULTS.items()}
    told |= {name: own[name] for name in _OPTIONAL if name in own}
    if "KmsMasterKeyId" in own:
        told["KmsDataKeyReusePeriodSeconds"] = own.get("KmsDataKeyReusePeriodSeconds", "300")
    return told
