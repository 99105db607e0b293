"""A notification on its way: what is due to one destination, as a message of the durable queue.

Pure. The body is what the destination gets; where it goes, for whom, and how often that failed is the state.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from lambent.services.s3.notifications import message as texts
from lambent.services.s3.notifications.rules import Rule, Rules
from lambent.services.s3.owners import canonical_id
from lambent.services.s3.records import Bucket, ObjectChange
from lambent.store.messages import NewMessage

QUEUE: Final = "s3-notifications"
BUS: Final = "events"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Beside the body. `account` and `region` are the bucket's."""

    account: str
    region: str
    bucket: str
    service: str
    """sns | sqs | lambda | events"""
    arn: str
    """Of the destination; empty: the default event bus of the account."""
    event: str
    at_ms: int
    detail_type: str = ""
    trace_header: str | None = None
    tries: int = 0

    @property
    def lane(self) -> str:
        """Of its own for each destination: one that is slow keeps no other waiting."""
        return (self.arn or f"events:{self.region}:{self.account}")[:160]

    def message(self, body: bytes) -> NewMessage:
        return NewMessage(queue=QUEUE, lane=self.lane, visible_ms=0, state=encode(self), body=body)


def notices(
    bucket: Bucket, change: ObjectChange, rules: Rules, request_ids: tuple[str, str]
) -> Iterator[tuple[Notice, bytes]]:
    """What a change tells, and whom."""
    owner = canonical_id(bucket.account)
    for rule in rules.rules:
        if rule.tells(change.event, change.key):
            body = texts.record(bucket, change, rule.id, owner_id=owner, request_ids=request_ids)
            yield _notice(bucket, rule.service, rule.arn, change), body
    detail_type = texts.detail_type(change.event)
    if rules.event_bridge and detail_type is not None:
        body = msgspec.json.encode(texts.detail(bucket, change, request_ids[0]))
        yield _notice(bucket, BUS, "", change, detail_type), body


def _notice(bucket: Bucket, service: str, arn: str, change: ObjectChange, detail_type: str = "") -> Notice:
    return Notice(
        account=bucket.account,
        region=bucket.region,
        bucket=bucket.name,
        service=service,
        arn=arn,
        event=change.event,
        at_ms=change.at_ms,
        detail_type=detail_type,
        trace_header=change.origin.trace_header,
    )


def probes(bucket: Bucket, rules: Rules, at_ms: int, request_ids: tuple[str, str]) -> Iterator[tuple[Notice, bytes]]:
    """The test event for every queue and topic; functions and EventBridge get none."""
    body = texts.probe_event(bucket, at_ms, request_ids)
    for rule in _each_once(rules.rules):
        if rule.service in ("sqs", "sns"):
            notice = Notice(
                account=bucket.account,
                region=bucket.region,
                bucket=bucket.name,
                service=rule.service,
                arn=rule.arn,
                event="TestEvent",
                at_ms=at_ms,
            )
            yield notice, body


def _each_once(rules: tuple[Rule, ...]) -> Iterator[Rule]:
    seen: set[str] = set()
    for rule in rules:
        if rule.arn not in seen:
            seen.add(rule.arn)
            yield rule


def encode(notice: Notice) -> str:
    return msgspec.json.encode(notice).decode()


decode = msgspec.json.Decoder(Notice).decode
