"""Reading the chunks of a group in the order of their edges; only those that the caller consumes are decoded."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from lambent.services.logs.chunk import MAX_SPAN_MS, decode
from lambent.services.logs.events import LogEvent, timestamp_of
from lambent.services.logs.store.tables import chunks, streams

Run = tuple[int, Sequence[LogEvent]]
"""Events of one chunk and the chunk's edge: its first timestamp when reading forward, its last one backward."""


@dataclass(frozen=True, slots=True)
class Window:
    """Positions (`events.position`) from `low` to `high`, both inclusive."""

    low: int
    high: int
    forward: bool

    @property
    def low_ms(self) -> int:
        return timestamp_of(max(self.low, 0))

    @property
    def high_ms(self) -> int:
        return timestamp_of(max(self.high, 0))

    def __contains__(self, place: int) -> bool:
        return self.low <= place <= self.high


@dataclass(frozen=True, slots=True)
class Selection:
    """Streams of one group: those with one of `names`, or those that begin with `prefix`."""

    group_id: int
    names: tuple[str, ...] = ()
    prefix: str = ""

    @property
    def all_streams(self) -> bool:
        return not self.names and not self.prefix

    def takes(self, stream: str) -> bool:
        return stream in self.names if self.names else stream.startswith(self.prefix)


def scan(connection: Connection, selection: Selection, window: Window) -> Iterator[Run]:
    names: dict[int, str | None] = {}
    edge = chunks.c.first_ms if window.forward else chunks.c.last_ms
    query = (
        select(chunks.c.stream_id, edge, chunks.c.ingested_ms, chunks.c.body)
        .where(
            chunks.c.group_id == selection.group_id,
            chunks.c.first_ms <= window.high_ms,
            chunks.c.last_ms >= window.low_ms,
            # A chunk spans an hour at most, which lets the index skip what is far away.
            edge.between(
                window.low_ms - (MAX_SPAN_MS if window.forward else 0),
                window.high_ms + (0 if window.forward else MAX_SPAN_MS),
            ),
        )
        .order_by(edge if window.forward else edge.desc())
        .execution_options(yield_per=16)
    )
    if not selection.all_streams:
        query = query.where(chunks.c.stream_id.in_(stream_ids(connection, selection)))
    # A caller that has enough leaves the rest in the database.
    with connection.execute(query) as rows:
        for stream_id, at, ingested_ms, body in rows:
            if stream_id not in names:
                found = connection.execute(select(streams.c.name).where(streams.c.id == stream_id)).scalar()
                names[stream_id] = found
            stream = names[stream_id]
            if stream is None:
                # A deleted stream whose chunks are not swept yet.
                continue
            yield (
                at,
                [
                    LogEvent(stamp, sequence, message, stamp if ingested_ms is None else ingested_ms, stream)
                    for stamp, sequence, message in decode(body)
                ],
            )


def stream_ids(connection: Connection, selection: Selection) -> list[int]:
    query = select(streams.c.id).where(streams.c.group_id == selection.group_id)
    if selection.names:
        query = query.where(streams.c.name.in_(selection.names))
    else:
        length = len(selection.prefix)
        query = query.where(
            streams.c.name >= selection.prefix, func.substr(streams.c.name, 1, length) == selection.prefix
        )
    return list(connection.execute(query).scalars())
