"""RedrivePolicy and RedriveAllowPolicy: their JSON, and who may send its failures where."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from lambent.services.sqs.api.errors import bad_attribute, invalid_value
from lambent.services.sqs.api.json_text import dumped, loaded
from lambent.services.sqs.records import QueueKey, QueueRecord

MOST_RECEIVES: Final = 1000
MOST_SOURCES: Final = 10
_TARGET, _MOST = "deadLetterTargetArn", "maxReceiveCount"
_PERMISSIONS: Final = ("allowAll", "denyAll", "byQueue")
_UNSUPPORTED: Final = "Amazon SQS can't create the redrive allow policy, as it’s in an unsupported format."
_NO_ALLOWANCE: Final = "Amazon SQS can't create the redrive allow policy. "


def redrive_policy(text: str, source: QueueKey, *, fifo: bool, find: Callable[[QueueKey], QueueRecord | None]) -> str:
    """The policy in its shown form. Raises `ApiError`."""
    policy = _map(text)
    if policy is None:
        raise bad_attribute("RedrivePolicy", "Redrive policy is not a valid JSON map.")

    def refused(reason: str) -> Exception:
        return invalid_value(text, "RedrivePolicy", reason)

    if set(policy) - {_TARGET, _MOST}:
        raise refused("Only following attributes are supported: [maxReceiveCount, deadLetterTargetArn].")
    for name in (_TARGET, _MOST):
        if policy.get(name) in (None, ""):
            raise refused(f"Redrive policy does not contain mandatory attribute: {name}.")
    most = str(policy[_MOST])
    if not (most.isascii() and most.isdigit() and len(most) < 6 and 1 <= int(most) <= MOST_RECEIVES):
        raise refused(f"Invalid value for maxReceiveCount: {most}, valid values are from 1 to 1000 both inclusive.")
    target = QueueKey.of_arn(str(policy[_TARGET]))
    if target is None:
        raise refused("Dead-letter target ARN should be fully qualified ARN.")
    found = find(target) if (target.account, target.region) == (source.account, source.region) else None
    if found is None:
        raise refused("Dead letter target does not exist.")
    if found.fifo is not fifo:
        raise refused("Dead-letter queue must be same type of queue as the source.")
    if not _takes_from(found, source):
        raise refused("The redrive allow policy of the dead-letter queue does not allow this source queue.")
    return dumped({_TARGET: policy[_TARGET], _MOST: int(most)})


def allow_policy(text: str) -> str:
    """The same for RedriveAllowPolicy."""
    policy = _map(text)
    if policy is None or set(policy) - {"redrivePermission", "sourceQueueArns"}:
        raise bad_attribute("RedriveAllowPolicy", _UNSUPPORTED)
    permission, sources = policy.get("redrivePermission"), policy.get("sourceQueueArns")
    listed = isinstance(sources, list) and all(isinstance(source, str) for source in sources)
    if permission not in _PERMISSIONS or (sources is not None and not listed):
        raise bad_attribute("RedriveAllowPolicy", _UNSUPPORTED)

    def refused(reason: str) -> Exception:
        return invalid_value(text, "RedriveAllowPolicy", _NO_ALLOWANCE + reason)

    if permission == "byQueue" and not sources:
        raise refused(
            "When you specify the byQueue permission type, you must also specify one or more sourceQueueArns values."
        )
    if permission != "byQueue" and sources:
        raise refused("To specify one or more source queue ARNs, you must set redrivePermission to byQueue.")
    if sources and len(sources) > MOST_SOURCES:
        raise refused("The maximum number of source queue ARNs you can specify is 10.")
    return dumped(policy)


def _takes_from(target: QueueRecord, source: QueueKey) -> bool:
    text = target.attributes.get("RedriveAllowPolicy")
    policy: Mapping[str, Any] = loaded(text) if text else {}
    permission = policy.get("redrivePermission", "allowAll")
    return permission == "allowAll" or (permission == "byQueue" and source.arn in policy.get("sourceQueueArns", ()))


def _map(text: str) -> dict[str, Any] | None:
    try:
        document = loaded(text)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
