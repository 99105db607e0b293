"""Writes what a change tells into the durable queue, in the transaction of the change: neither is there without the
other, whatever happens to the process."""

from collections import deque
from collections.abc import Callable, Iterable

from sqlalchemy import Connection

from lambent.services.s3.configs.configs import Configs
from lambent.services.s3.configs.kinds import Kind
from lambent.services.s3.notifications.notices import Notice, notices
from lambent.services.s3.notifications.rules import rules_of
from lambent.services.s3.records import Bucket, ObjectChange
from lambent.store.queue import put_in


class NotificationOutbox:
    """Implements `ports.Outbox`. `ids_of` makes both ids of a reply of the request id; `wake` hears of lanes."""

    def __init__(self, configs: Configs, ids_of: Callable[[str], tuple[str, str]], wake: Callable[[str], None]) -> None:
        self._configs = configs
        self._ids_of = ids_of
        self._wake = wake
        self._lanes: deque[str] = deque()

    def changed(self, connection: Connection, bucket: Bucket, change: ObjectChange) -> None:
        rules = self._configs.made(bucket.id, Kind.NOTIFICATION, rules_of)
        if rules is not None:
            self.put(connection, notices(bucket, change, rules, self._ids_of(change.origin.request_id)))

    def put(self, connection: Connection, due: Iterable[tuple[Notice, bytes]]) -> None:
        new = [notice.message(body) for notice, body in due]
        put_in(connection, new)
        # Before the commit, on the writer's thread: `committed` takes them from here on the event loop.
        self._lanes.extend(each.lane for each in new)

    def committed(self) -> None:
        while self._lanes:
            self._wake(self._lanes.popleft())
