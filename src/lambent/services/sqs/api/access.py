"""From a queue's URL to its record, for those who may do what they ask.

The own account may do everything that the queue's policy does not deny; other accounts and services what it allows,
of the operations that an owner can share. The host of a URL means nothing: the region is that of the signature.
"""

import re
from functools import lru_cache
from typing import Final

from lambent.aws.policy.decision import Decision, Request, decide
from lambent.aws.policy.documents import Document, parse
from lambent.aws.policy.principals import Principal
from lambent.aws.service import CallContext, Source
from lambent.services.sqs.api.errors import denied, no_foreign_queue, no_queue
from lambent.services.sqs.broker import Broker
from lambent.services.sqs.records import QueueKey, QueueRecord

SHARED: Final = frozenset(
    {
        *("ChangeMessageVisibility", "DeleteMessage", "GetQueueAttributes", "GetQueueUrl"),
        *("ListDeadLetterSourceQueues", "PurgeQueue", "ReceiveMessage", "SendMessage"),
    }
)
"""What a policy can open to others; the rest is the owner's alone."""
_RECOVERY: Final = frozenset({"SetQueueAttributes", "GetQueueAttributes", "RemovePermission", "DeleteQueue"})
"""What the root of an account can always do, so that a Deny for everybody can be taken back."""
_URL: Final = re.compile(r"(?:https?://[^/]+)?/(\d{12})/([^/?#]+)/?", re.ASCII | re.IGNORECASE)


class Access:
    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def queue(self, context: CallContext, url: str, operation: str) -> QueueRecord:
        """`operation`: that of the single message for a batch. Raises `ApiError`."""
        key = key_of_url(url, context.account, context.region)
        if key is None:
            raise no_queue()
        return self.of_key(context, key, operation)

    def of_key(self, context: CallContext, key: QueueKey, operation: str) -> QueueRecord:
        found = self._broker.get(key)
        principal = _principal(context.identity.arn)
        own = key.account == context.account and principal.kind != "Service"
        if found is None:
            raise no_queue() if own else no_foreign_queue()
        policy = found.attributes.get("Policy")
        if own and policy is None:
            return found
        action = f"sqs:{operation}"
        decision = Decision.SILENT
        if policy is not None:
            decision = _decided(policy, principal, action, key.arn, context.source)
        if decision is Decision.DENIED and not (operation in _RECOVERY and context.identity.arn.endswith(":root")):
            raise denied(context.identity.arn, action, key.arn, explicitly=True)
        if not own and (decision is not Decision.ALLOWED or operation not in SHARED):
            raise denied(context.identity.arn, action, key.arn, explicitly=False)
        return found


@lru_cache(maxsize=1024)
def key_of_url(url: str, account: str, region: str) -> QueueKey | None:
    """A URL, its path, or a bare name of the caller's account. None for what can be no queue's."""
    if "/" not in url:
        return QueueKey(account, region, url) if url else None
    parts = _URL.fullmatch(url)
    return None if parts is None else QueueKey(parts[1], region, parts[2])


def url_of(context: CallContext, key: QueueKey) -> str:
    """At the host by which the caller reached us: SDKs send to the host of the URL."""
    return f"{context.base_url}/{key.account}/{key.name}"


@lru_cache(maxsize=1024)
def _principal(arn: str) -> Principal:
    return Principal.of_arn(arn) if arn.startswith("arn:") else Principal.of_service(arn)


@lru_cache(maxsize=256)
def _parsed(policy: str) -> Document:
    return parse(policy)


@lru_cache(maxsize=4096)
def _decided(policy: str, principal: Principal, action: str, resource: str, source: Source | None) -> Decision:
    return decide([_parsed(policy)], Request(principal, action, resource, _keys(principal, source)))


def _keys(principal: Principal, source: Source | None) -> dict[str, str]:
    keys = {"aws:PrincipalIsAWSService": str(principal.kind == "Service").lower()}
    if principal.account is not None:
        keys["aws:PrincipalAccount"] = principal.account
        keys["aws:PrincipalArn"] = principal.role_arn or principal.name
    if principal.kind == "Service":
        keys["aws:PrincipalServiceName"] = principal.name
    if source is not None:
        keys["aws:SourceArn"] = source.arn
        keys["aws:SourceAccount"] = source.account
    return keys
